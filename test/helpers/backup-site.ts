/** A store, its backups and the command line in front of them, in a temporary directory. */
import { join } from 'node:path';
import { openTestEngine, temporaryDirectory, testContext } from './engine.js';
import { type CliResult, runCli } from './run-cli.js';

export class BackupSite {
  readonly dir = temporaryDirectory();
  readonly store = join(this.dir, 'store');
  /** The directory of backups. */
  readonly backups = join(this.dir, 'backups');

  cli(...args: string[]): Promise<CliResult> {
    return runCli(args, { env: { HOME: this.dir } });
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of many commands
  async json(...args: string[]): Promise<{ code: number | null; stderr: string; answer: any }> {
    const { code, stdout, stderr } = await this.cli(...args, '--json');
    return { code, stderr, answer: JSON.parse(stdout === '' ? '{}' : stdout) };
  }

  /** Puts texts, each under its own words as id. */
  async put(...texts: string[]): Promise<void> {
    const engine = await openTestEngine(this.store);
    for (const text of texts)
      await engine.upsert(
        { collection: 'default', items: [{ id: text.replaceAll(' ', '-'), text }] },
        testContext,
      );
    await engine.close();
  }

  /** Of the items in a store. */
  async ids(path: string): Promise<string[]> {
    const { answer } = await this.json('list', '--store', path);
    return answer.items.map(({ id }: { id: string }) => id).sort();
  }
}
