import { basename } from 'node:path';

/** Directories that a walk does not enter: not the project's own text. Naming a path inside one overrides it. */
const foreignDirectories = new Set(['node_modules', '.git', '.hg', '.svn', '.jj']);

/** Directories that hold keys, not documents; nothing overrides these. */
const secretDirectories = new Set(['.git', '.ssh', '.gnupg', '.aws', '.kube']);

const secretNames =
  /^(\.env.*|.*\.env|\.npmrc|\.netrc|_netrc|\.pypirc|\.pgpass|\.my\.cnf|\.git-credentials|\.htpasswd|\.dockercfg|\.vault-token|\.?credentials(\.(json|ya?ml|toml|ini|txt|csv|xml))?|\.?secrets?\.(json|ya?ml|toml|ini|env|txt)|client_secret.*\.json|service[-_]?account.*\.json|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.*\.(pem|key|p8|p12|pfx|ppk|jks|keystore|kdbx|tfstate|tfvars|ovpn))$/i;

const generatedNames =
  /^(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|deno\.lock|cargo\.lock|poetry\.lock|uv\.lock|pdm\.lock|gemfile\.lock|composer\.lock|flake\.lock|go\.sum|.*\.min\.(js|mjs|cjs|css)|.*\.(js|mjs|cjs|css|ts)\.map)$/i;

/** Whether a walk passes by a directory of this name. */
export function isForeignDirectory(name: string): boolean {
  return foreignDirectories.has(name);
}

/**
 * Why a file must not be stored whatever the call says, or undefined. An append-only log is a bad place for a key, and
 * its name tells more surely than its content.
 * @param path Absolute, with `/` as separator.
 * @param below Directories in its own path up to here do not count (the allowed root: the user chose it).
 */
export function secretReason(path: string, below: string): string | undefined {
  const name = basename(path);
  if (secretNames.test(name)) return 'key or credential file';
  const inside = path.slice(below.length).split('/').slice(0, -1);
  const directory = inside.find(step => secretDirectories.has(step));
  return directory === undefined ? undefined : `inside ${directory}`;
}

/** Why a file is not worth finding, or undefined. Naming the file itself overrides it. */
export function generatedReason(name: string): string | undefined {
  return generatedNames.test(name) ? 'generated file' : undefined;
}
