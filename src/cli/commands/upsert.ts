import { CodedError } from '../../domain/errors.js';
import type { Metadata } from '../../domain/model.js';
import type { Call } from '../command.js';
import { contextOf, jsonObject, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { oneLine, say, sayJson } from '../printing.js';

/** `upsert <text>`: creates an item, or updates the one of --id. `-` reads the text from stdin. */
export default async function upsert(call: Call): Promise<number> {
  const [given] = call.positionals;
  const text = given === '-' ? await readStdin() : given;
  const id = call.text('id');
  const metadata = jsonObject(call, 'metadata') as Metadata | undefined;
  if (text === undefined && (id === undefined || metadata === undefined))
    throw new CodedError(
      'INVALID_ARGUMENT',
      'upsert: no text',
      'Give a text, or --id and --metadata for what is there already.',
    );
  const answer = await withEngine(call, { create: true }, engine =>
    engine.upsert(
      {
        collection: call.text('collection') ?? 'default',
        items: [
          {
            ...(id === undefined ? {} : { id }),
            ...(text === undefined ? {} : { text }),
            ...(metadata === undefined ? {} : { metadata }),
          },
        ],
        allow_secrets: call.has('allow-secrets'),
      },
      contextOf('upsert'),
    ),
  );
  if (call.has('json')) sayJson(answer);
  else
    for (const item of answer.items) {
      say(`${item.outcome}  ${oneLine(item.id, 200)}  version ${item.version}`);
      for (const { id: near, score, preview } of item.similar ?? [])
        say(`  similar: ${oneLine(near, 60)} (${score}): ${oneLine(preview, 80)}`);
    }
  return EXIT.ok;
}

async function readStdin(): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
