// For scripts/coverage.mjs. What tests start from here on counts what it runs: Node.js hands the variable on to every worker thread
// and child process, also to one that is given an environment of its own. This process itself vitest counts, which
// Node.js would be in the way of, had the variable been there when it began.
process.env.NODE_V8_COVERAGE = process.env.PROFILES_DIR;
