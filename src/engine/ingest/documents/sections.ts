import { type Section, shorten } from '../section.js';
import type { DocumentBlock } from './document.js';

/** Headings longer than this are cut in a path, as those of Markdown are. */
const maxHeadingChars = 80;

/** A document's blocks under their heading paths. */
export function documentSections(blocks: readonly DocumentBlock[]): Section[] {
  const sections: { path: readonly string[]; headed: boolean; leading: boolean; blocks: DocumentBlock[] }[] =
    [];
  const open: { level: number; title: string }[] = [];
  for (const block of blocks) {
    const { heading } = block;
    const current = sections.at(-1);
    if (heading !== undefined) {
      while (open.length > 0 && open.at(-1)!.level >= heading.level) open.pop();
      const title = shorten(heading.title.replace(/\s+/g, ' ').trim(), maxHeadingChars);
      open.push({ level: heading.level, title });
      const path = open.map(one => one.title);
      sections.push({ path, headed: heading.shown, leading: heading.shown, blocks: [block] });
    } else if (current === undefined) {
      sections.push({ path: [], headed: false, leading: false, blocks: [block] });
    } else {
      current.blocks.push(block);
      current.leading = false;
    }
  }
  return sections;
}
