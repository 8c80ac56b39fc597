/** Values that options allow, apart from the code they stand for, so that --help and parsing need not load it. */
export const CLIENT_IDS = ['claude-code', 'claude-desktop', 'cursor', 'vscode', 'codex', 'windsurf'] as const;
export type ClientId = (typeof CLIENT_IDS)[number];

export const LAUNCHER_CHOICES = ['npx', 'path'] as const;
/** `npx`: fetched by name; `path`: node and the absolute path of this very installation. */
export type Launcher = (typeof LAUNCHER_CHOICES)[number];

/** Of `token create`. A copy of http/scopes.ts, whose import would load every tool; a test compares them. */
export const TOKEN_SCOPES: readonly string[] = ['read', 'write', 'admin'];
