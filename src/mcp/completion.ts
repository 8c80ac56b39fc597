import { CodedError, isCoded } from '../domain/errors.js';
import { printable } from '../domain/printable.js';
import type { Completion } from './completable.js';
import { findPrompt } from './prompts/index.js';
import type { Prompt } from './prompts/prompt.js';
import { RESOURCE_TEMPLATES, TEMPLATE_COMPLETIONS } from './resources/resources.js';
import type { CompleteRequestParams } from './sdk.js';
import type { ToolContext } from './tools/tool.js';

/** The specification's bound. */
const MAX_VALUES = 100;

/**
 * The answer to completion/complete. Names that hold characters which cannot be seen are left out: nobody types them, and they could pass
 * for others. Where a collection that is named does not exist, nothing is suggested.
 * @param prompts those that this server offers
 * @throws CodedError UNKNOWN_PROMPT, RESOURCE_NOT_FOUND, INVALID_ARGUMENT
 */
export async function complete(
  { ref, argument, context }: CompleteRequestParams,
  prompts: readonly Prompt[],
  toolContext: ToolContext,
) {
  const completions =
    ref.type === 'ref/prompt'
      ? completionsOfPrompt(findPrompt(prompts, ref.name))
      : completionsOfTemplate(ref.uri);
  const completion = Object.hasOwn(completions, argument.name) ? completions[argument.name] : undefined;
  if (completion === undefined)
    throw new CodedError(
      'INVALID_ARGUMENT',
      'argument: there is none of that name',
      `The arguments are: ${Object.keys(completions).join(', ')}.`,
    );
  const { values, more } = await namesOf(completion, argument.value, context?.arguments ?? {}, toolContext);
  const typed = argument.value.toLowerCase();
  const words = (completion.words ?? []).filter(word => word.toLowerCase().startsWith(typed));
  const all = [...new Set([...values.filter(value => printable(value) === value), ...words])];
  return {
    completion: { values: all.slice(0, MAX_VALUES), hasMore: more || all.length > MAX_VALUES },
  };
}

function completionsOfPrompt({ completions }: Prompt) {
  return completions;
}

/** A client refers to a template by itself, or to a URI made of one. */
function completionsOfTemplate(uri: string) {
  const template = RESOURCE_TEMPLATES.find(({ uriTemplate }) => uriTemplate === uri);
  if (template === undefined)
    throw new CodedError(
      'RESOURCE_NOT_FOUND',
      'there is no such template',
      `The templates are: ${RESOURCE_TEMPLATES.map(({ uriTemplate }) => uriTemplate).join(', ')}.`,
    );
  const variables = Object.entries(TEMPLATE_COMPLETIONS).filter(([name]) =>
    new RegExp(`\\{\\??${name}\\}`).test(template.uriTemplate),
  );
  return Object.fromEntries(variables);
}

async function namesOf(
  { of }: Completion,
  prefix: string,
  others: { readonly [name: string]: string },
  { engine, call }: ToolContext,
): Promise<{ values: readonly string[]; more: boolean }> {
  if (of === undefined) return { values: [], more: false };
  const { collection } = others;
  if (of === 'ids' && collection === undefined) return { values: [], more: false };
  const within = collection === undefined || of === 'collections' || of === 'marks' ? {} : { collection };
  try {
    return await (await engine()).complete({ of, prefix, ...within }, call);
  } catch (error) {
    if (isCoded(error) && error.code === 'COLLECTION_NOT_FOUND') return { values: [], more: false };
    throw error;
  }
}
