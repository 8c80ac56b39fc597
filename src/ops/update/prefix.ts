/**
 * A managed installation: versions of the program side by side in one directory, and a link to the one that counts.
 *
 *   installation.json            what is installed, for which store, and how its service is run
 *   settings.env                 the VECTOR_* variables of the service, for its user alone
 *   versions/<id>/node_modules/mcp-vector-server
 *   current -> versions/<id>     exchanged by one rename
 *   resume.mjs                   runs before every start of the service: finishes or undoes an update that was killed
 *   update.json                  the journal of an update that is under way
 *   updates/<id>.json            what earlier updates did
 *   backups/updates/             backups of the store from before updates
 *   trial/                       copies of the store in which a new version is tried
 */
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { writeWhole } from '../../../wal/backup/sealed.js';
import { exists } from '../../../wal/exists.js';
import { fsyncDirectory } from '../../../wal/head-file.js';
import { CodedError } from '../../domain/errors.js';
import { readJson } from './read-json.js';

export const PACKAGE = 'mcp-vector-server';

/** How a service is run. */
export interface ServiceNote {
  /** `process`: by the commands of this program alone, where there is neither systemd nor launchd. */
  readonly manager: 'systemd' | 'launchd' | 'process';
  readonly scope: 'user' | 'system';
  /** Of the unit or the job, without a suffix. */
  readonly name: string;
  /** Whose processes and files they are; absent: of whoever installed it. */
  readonly user?: string;
  /** Arguments of `serve`. */
  readonly arguments: readonly string[];
}

export interface Installation {
  readonly format: 1;
  /** The store, absolute. */
  readonly store: string;
  readonly service: ServiceNote;
}

const INSTALL_AGAIN =
  'Put it back from a copy, or install the service anew with the same --prefix: store and backups stay as they are.';

/** Ids of versions become names of directories. */
const VERSION_ID = /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,99}$/;

export class Prefix {
  constructor(
    /** Absolute. */
    readonly dir: string,
  ) {}

  readonly path = (...names: string[]): string => join(this.dir, ...names);

  /** The directory of a version. @throws CodedError INVALID_ARGUMENT */
  versionDir(id: string): string {
    if (!VERSION_ID.test(id))
      throw new CodedError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(id.slice(0, 100))} is no version of the program`,
        'See `mcp-vector-server update --list`.',
      );
    return this.path('versions', id);
  }

  packageDir(id: string): string {
    return join(this.versionDir(id), 'node_modules', PACKAGE);
  }

  /** The file that Node runs. */
  mainOf(id: string): string {
    return join(this.packageDir(id), 'dist', 'src', 'cli', 'main.js');
  }

  /** The same of whichever version counts when it is run. */
  get currentMain(): string {
    return this.path('current', 'node_modules', PACKAGE, 'dist', 'src', 'cli', 'main.js');
  }

  /** The version that counts; undefined where none was chosen yet. */
  get current(): string | undefined {
    try {
      return basename(readlinkSync(this.path('current')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Makes a version the one that counts: a reader sees the one or the other. */
  switchTo(id: string): void {
    const link = this.path('.current-next');
    rmSync(link, { force: true });
    symlinkSync(join('versions', basename(this.versionDir(id))), link);
    renameSync(link, this.path('current'));
    fsyncDirectory(this.dir);
  }

  /** Ids of the versions that are installed whole, by name. */
  versions(): string[] {
    if (!exists(this.path('versions'))) return [];
    return readdirSync(this.path('versions'))
      .filter(id => VERSION_ID.test(id) && exists(this.mainOf(id)))
      .sort();
  }

  /** What a version's package.json says. */
  packageVersion(id: string): string {
    return readJson<{ version: string }>(join(this.packageDir(id), 'package.json'), INSTALL_AGAIN).version;
  }

  /** @throws CodedError UPDATE_NOT_MANAGED where there is none, CONFIG_UNREADABLE */
  installation(): Installation {
    const path = this.path('installation.json');
    if (!exists(path)) throw notManaged(`${this.dir} holds no installation that \`service install\` made`);
    const read = readJson<Installation>(path, INSTALL_AGAIN);
    if (read.format === 1) return read;
    throw new CodedError(
      'CONFIG_UNREADABLE',
      `${path} is of format ${JSON.stringify(read.format)}; this program reads 1`,
      'Use the version of the program that wrote it, or install the service anew.',
    );
  }

  async writeInstallation(installation: Installation): Promise<void> {
    await writeWhole(this.path('installation.json'), `${JSON.stringify(installation, null, 2)}\n`);
  }

  /** The variables of the service, VECTOR_DB_PATH among them. */
  settings(): Record<string, string> {
    const path = this.path('settings.env');
    return { ...(exists(path) ? parseSettings(readFileSync(path, 'utf8')) : {}) };
  }

  async writeSettings(settings: Readonly<Record<string, string>>): Promise<void> {
    await writeWhole(this.path('settings.env'), settingsText(settings));
  }
}

export const notManaged = (what: string): CodedError =>
  new CodedError(
    'UPDATE_NOT_MANAGED',
    what,
    'Name its directory with --prefix; or make one: `mcp-vector-server service install`.',
  );

/** The installation that a package belongs to, by where it lies; undefined for any other way of installing. */
export function prefixOf(packageRoot: string): Prefix | undefined {
  const versions = dirname(dirname(dirname(packageRoot)));
  if (basename(versions) !== 'versions') return undefined;
  const prefix = new Prefix(dirname(versions));
  return exists(prefix.path('installation.json')) ? prefix : undefined;
}

const QUOTED = /^"((?:[^"\\]|\\.)*)"$/s;

/** As systemd reads an EnvironmentFile (systemd.exec(5)): one assignment a line, quotes around values, # before comments. */
export function parseSettings(text: string): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue;
    settings[name] = QUOTED.exec(value)?.[1]?.replace(/\\(.)/g, '$1') ?? value.replace(/^'(.*)'$/, '$1');
  }
  return settings;
}

/** @throws CodedError CONFIG_INVALID for a value of several lines, which such a file cannot hold */
export function settingsText(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => {
    if (/[\n\r\0]/.test(value))
      throw new CodedError('CONFIG_INVALID', `${name}: holds a line end`, 'Write it as one line.', {
        details: { variable: name },
      });
    return `${name}="${value.replace(/["\\]/g, '\\$&')}"`;
  });
  return `# The variables of the service. After a change: mcp-vector-server service restart\n${lines.join('\n')}\n`;
}
