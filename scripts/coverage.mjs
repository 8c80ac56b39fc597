// npm run coverage -- [what vitest takes: paths, -t ...]
//
// Runs tests and says which branches of the files named in vitest.config.ts (coverage.include) they reach, in every process:
// vitest counts what its own processes run, and this adds what worker threads and child processes ran. They count for
// themselves (NODE_V8_COVERAGE) and write it down when they end, so one that is ended by SIGKILL is not counted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { mergeProcessCovs } from '@bcoe/v8-coverage';
import { convert } from 'ast-v8-to-istanbul';
import libCoverage from 'istanbul-lib-coverage';
import libReport from 'istanbul-lib-report';
import reports from 'istanbul-reports';
import { parseAstAsync } from 'vite';
import { bundleProgram } from './bundle-program.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const reportDir = join(root, 'coverage/branches');
const profilesDir = join(root, 'coverage/profiles');
const counted = ['wal', 'src/engine'].map(folder => pathToFileURL(join(root, 'dist', folder)).href);

rmSync(profilesDir, { recursive: true, force: true });
mkdirSync(profilesDir, { recursive: true });
/** What the processes that have ended so far ran of dist/, by file. */
let merged = { result: [] };

const code = await runTests(process.argv.slice(2));
const report = join(reportDir, 'coverage-final.json');
// Interrupted, vitest writes none.
if (!existsSync(report)) process.exit(code || 1);
const map = await withOthers(JSON.parse(readFileSync(report, 'utf8')));
const context = libReport.createContext({ dir: reportDir, coverageMap: map });
for (const name of ['text', 'html', 'json']) reports.create(name).execute(context);
printFolders(map);
process.exitCode = code;

/** @returns the exit code of vitest */
async function runTests(args) {
  // Ctrl+C ends vitest; the program is bundled again nevertheless.
  process.on('SIGINT', () => undefined);
  // The bundle has no places in the sources, so that for once the program runs from the modules that tsc wrote.
  await run('scripts/build.mjs', ['--modules']);
  try {
    const tests = run('node_modules/vitest/vitest.mjs', [
      'run',
      '--coverage',
      '--coverage.reporter=json',
      ...args,
    ]);
    const ended = new AbortController();
    tests.finally(() => ended.abort());
    // A profile is a megabyte, and there are thousands of them: each is taken as soon as it is whole.
    while (!ended.signal.aborted) {
      takeProfiles();
      await sleep(1000, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    takeProfiles();
    const torn = readdirSync(profilesDir).length;
    if (torn > 0) console.log(`${torn} processes were ended while they wrote down what they had run`);
    return await tests;
  } finally {
    await bundleProgram(join(root, 'dist/src/cli/main.js'));
    rmSync(profilesDir, { recursive: true, force: true });
  }
}

async function run(script, args) {
  const child = spawn(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PROFILES_DIR: profilesDir },
  });
  const [exitCode] = await once(child, 'exit');
  return exitCode ?? 1;
}

function takeProfiles() {
  for (const name of readdirSync(profilesDir)) {
    const file = join(profilesDir, name);
    let profile;
    try {
      profile = JSON.parse(readFileSync(file, 'utf8'));
    } catch {
      continue; // It is being written.
    }
    rmSync(file);
    const result = profile.result.filter(({ url }) => counted.some(folder => url.startsWith(`${folder}/`)));
    merged = mergeProcessCovs([merged, { result }]);
  }
}

/** @param own coverage as vitest wrote it, by path of the TypeScript file */
async function withOthers(own) {
  const map = libCoverage.createCoverageMap(own);
  for (const script of merged.result) {
    const file = fileURLToPath(script.url);
    const code = readFileSync(file, 'utf8');
    const sourceMap = JSON.parse(readFileSync(`${file}.map`, 'utf8'));
    sourceMap.sources = sourceMap.sources.map(source => new URL(source, script.url).href);
    // Hints of what is to be ignored are looked for there.
    sourceMap.sourcesContent = sourceMap.sources.map(source => readFileSync(fileURLToPath(source), 'utf8'));
    const ast = await parseAstAsync(code);
    const converted = await convert({ code, sourceMap, ast, coverage: script, wrapperLength: 0 });
    for (const [path, others] of Object.entries(converted)) if (path in own) add(own[path], others);
  }
  return map;
}

/**
 * Adds what others ran, in place. Vite hands vitest a source map without ends, so that istanbul's own merging by place would
 * take the same branch for two, and count one as reached that only lies within another: the two are matched by their order.
 */
function add(own, others) {
  for (const [hits, places] of [
    ['s', 'statementMap'],
    ['f', 'fnMap'],
    ['b', 'branchMap'],
  ]) {
    if (starts(own[places]) !== starts(others[places])) {
      throw new Error(`${own.path}: the ${places} of vitest and of Node.js differ`);
    }
    for (const [key, count] of Object.entries(others[hits])) {
      if (hits === 'b') own.b[key] = own.b[key].map((n, i) => n + count[i]);
      else own[hits][key] += count;
    }
    own[places] = others[places];
  }
}

/** Where each branch, function or statement begins, in order. */
function starts(places) {
  const begin = ({ start }) => `${start.line}:${start.column}`;
  return JSON.stringify(
    Object.values(places).map(place =>
      place.locations !== undefined
        ? [place.type, ...[place.loc, ...place.locations].map(begin)]
        : begin(place.decl ?? place),
    ),
  );
}

function printFolders(map) {
  const folders = new Map();
  for (const path of map.files()) {
    const folder = relative(root, dirname(path));
    const { covered, total } = map.fileCoverageFor(path).toSummary().branches;
    const sum = folders.get(folder) ?? { covered: 0, total: 0 };
    folders.set(folder, { covered: sum.covered + covered, total: sum.total + total });
  }
  for (const [folder, { covered, total }] of [...folders].sort()) {
    const percent = total === 0 ? 100 : (covered / total) * 100;
    console.log(`${folder.padEnd(16)} ${covered} of ${total} branches, ${percent.toFixed(1)} %`);
  }
}
