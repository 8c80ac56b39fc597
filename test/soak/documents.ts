/** A folder of a few files that change, go and come back, to be ingested again and again. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILES = 6;

const fileName = (n: number): string => `file-${n}.md`;

export class Documents {
  readonly folder: string;
  readonly collection: string;
  /** The word that only this file has. */
  private readonly words = new Map<string, string>();

  constructor(root: string, name: string) {
    this.folder = join(root, name);
    this.collection = `docs-${name}`;
    mkdirSync(this.folder, { recursive: true });
  }

  /** @returns the word that can be found from now on, and the one that no longer can */
  change(
    word: (file: string) => string,
    random: () => number,
  ): { readonly written?: string; readonly gone?: string | undefined } {
    for (let n = 0; this.words.size < FILES - 1; n++) this.write(fileName(n), word(fileName(n)));
    const name = fileName(Math.floor(random() * FILES));
    const gone = this.words.get(name);
    // One at most is missing: more than half may not go at once.
    if (gone !== undefined && this.words.size === FILES && random() < 0.3) {
      rmSync(join(this.folder, name));
      this.words.delete(name);
      return { gone };
    }
    return { written: this.write(name, word(name)), gone };
  }

  private write(name: string, word: string): string {
    const text = `# ${name}\n\nThe word of this file is ${word}, and no other file has it.\n`;
    writeFileSync(join(this.folder, name), text);
    this.words.set(name, word);
    return word;
  }
}
