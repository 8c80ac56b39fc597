import {
  type Block,
  type BlockStyle,
  isBlank,
  type Line,
  linesOf,
  type Section,
  shorten,
} from './section.js';

const maxDeclarationChars = 100;

/** A line that only closes what was opened above it: it belongs to the declaration before, not to the next. */
const closer = /^([}\])]|end\b|fi\b|done\b|esac\b|<\/)/;
const comment = /^\s*(\/\/|\/\*|\*|#(?!include|define|if|endif|else|pragma|\[)|--|;|%|<!--|"""|''')/;

/** Lines that bring in other modules name nothing that the lines below them belong to. */
const importing = /^(import|from|use|using|package|require|#\s*include)\b/;

/** Units of source code, as the chunker packs them: each a block of its own, from its comment to its last line. */
export function codeUnits(text: string): Block[] {
  return units(linesOf(text));
}

/**
 * The body of a unit that is larger than a chunk, as a section of its own: cut at blank lines, each piece but the first
 * naming the declaration it belongs to.
 */
export function bodySection(text: string, unit: Block): Section {
  const lines = linesOf(text, unit.start, unit.end);
  const declaration = lines.find(
    line => !isBlank(line) && !comment.test(line.text) && !/^\s*@/.test(line.text),
  );
  const names = declaration !== undefined && !importing.test(declaration.text);
  const name = (names ? declaration.text : '').trim().slice(0, 2 * maxDeclarationChars);
  const heading = shorten(name.replace(/\s*[{([:]?$/, ''), maxDeclarationChars);
  return {
    path: heading === '' ? [] : [heading],
    headed: heading !== '',
    leading: false,
    blocks: paragraphs(lines, 'lines'),
  };
}

/** Blank line to blank line; in code a comment alone joins what follows it. */
export function paragraphs(lines: readonly Line[], style: BlockStyle): Block[] {
  return join(lines, style, style === 'lines', () => true);
}

/** Declarations: a new one starts at the margin, behind a blank line or behind the end of the one before. */
function units(lines: readonly Line[]): Block[] {
  return join(lines, 'code', true, line => /^\S/.test(line.text) && !closer.test(line.text));
}

function join(
  lines: readonly Line[],
  style: BlockStyle,
  isCode: boolean,
  starts: (line: Line) => boolean,
): Block[] {
  const blocks: { start: number; end: number; style: BlockStyle }[] = [];
  let afterBreak = true;
  let onlyComment = false;
  for (const line of lines) {
    if (isBlank(line)) {
      afterBreak = true;
      continue;
    }
    const last = blocks.at(-1);
    if (last === undefined || (afterBreak && !(isCode && onlyComment) && starts(line))) {
      blocks.push({ start: line.start, end: line.end, style });
      onlyComment = comment.test(line.text);
    } else {
      last.end = line.end;
      onlyComment &&= comment.test(line.text);
    }
    // In code a closing line at the margin ends a declaration even without a blank line behind it.
    afterBreak = isCode && closer.test(line.text);
  }
  return blocks;
}
