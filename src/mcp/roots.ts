import { fileURLToPath } from 'node:url';
import { CodedError } from '../domain/errors.js';
import { isProjectDirectory, PROJECT_VARIABLE } from './session.js';

export interface RootSources {
  /** VECTOR_ROOTS: absolute directories; undefined where it is not set. */
  readonly configured: readonly string[] | undefined;
  /** Asks the client (`roots/list`); absent where it cannot be asked. Answers URIs. */
  readonly client?: () => Promise<readonly string[]>;
  readonly env: NodeJS.ProcessEnv;
  /** The working directory, absolute. */
  readonly cwd: string;
}

/**
 * The directories below which files may be read: what was configured, else what the client names, else its project
 * directory, else the working directory unless that is no project's. Empty where none is known; ingest then answers ROOTS_UNSET.
 *
 * @throws CodedError ROOTS_UNSET where the client declares roots and does not answer: reading elsewhere instead would
 *   be a guess.
 */
export async function allowedRoots(sources: RootSources): Promise<string[]> {
  if (sources.configured !== undefined) return [...sources.configured];
  if (sources.client !== undefined) {
    const fromClient = directoriesOf(await asked(sources.client));
    if (fromClient.length > 0) return fromClient;
  }
  const project = sources.env[PROJECT_VARIABLE];
  if (project !== undefined && project !== '') return [project];
  return isProjectDirectory(sources.cwd) ? [sources.cwd] : [];
}

async function asked(client: () => Promise<readonly string[]>): Promise<readonly string[]> {
  try {
    return await client();
  } catch (error) {
    throw new CodedError(
      'ROOTS_UNSET',
      'the client declares roots but did not answer roots/list',
      'Name the directories that may be read in VECTOR_ROOTS.',
      { cause: error },
    );
  }
}

/** Only file: URIs of this machine name directories that can be read. */
function directoriesOf(uris: readonly string[]): string[] {
  return uris.flatMap(uri => {
    if (!URL.canParse(uri)) return [];
    const url = new URL(uri);
    return url.protocol === 'file:' && url.host === '' ? [fileURLToPath(url)] : [];
  });
}
