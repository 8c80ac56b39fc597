/** The frame of a campaign's command: its options, `--help`, wrong usage, the seed, the exit code. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Options that every campaign has. */
const COMMON = {
  seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  help: { type: 'boolean', default: false },
} as const satisfies Options;

/** What is there of the options, as parseArgs has it, and of those that every campaign has. */
type Values<O extends Options> = ReturnType<typeof parseArgs<{ options: O }>>['values'];

export interface CampaignCommand<O extends Options, T> {
  /** Says what each option does; ends without a line break. */
  readonly help: string;
  readonly options: O;
  /** Makes of the options what is run. @throws Error that names the option which is wrong */
  readonly read: (values: Values<O>) => T;
  /** @returns whether nothing is wrong */
  readonly run: (work: T & { readonly seed: number }) => Promise<boolean>;
}

/** Exit code 0: nothing is wrong; 1: something is; 2: wrong usage. */
export async function runCommand<const O extends Options, T>(command: CampaignCommand<O, T>): Promise<void> {
  const { help, options, read, run } = command;
  let work: T & { readonly seed: number };
  try {
    // Its type of what is made of two sets of options is that of neither.
    const values = parseArgs({ options: { ...options, ...COMMON } }).values as unknown as Values<O> & {
      readonly seed: string;
      readonly help: boolean;
    };
    if (values.help) {
      console.log(help);
      return;
    }
    work = { ...read(values), seed: wholeNumber('--seed', values.seed, 0) };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exitCode = 2;
    return;
  }
  process.exitCode = (await run(work)) ? 0 : 1;
}

/** @throws Error where it is none of at least `least` */
export function wholeNumber(option: string, text: string, least = 1): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < least)
    throw new Error(`${option}: ${text} is no whole number of at least ${least}`);
  return number;
}

/** @throws Error where it is not above `above`, or beyond `most` */
export function numberWithin(option: string, text: string, above: number, most: number): number {
  const number = Number(text);
  if (!(number > above && number <= most))
    throw new Error(`${option}: ${text} is not in (${above}, ${most}]`);
  return number;
}

/** A clock for what took how long, in seconds. */
export function stopwatch(): () => number {
  const startedMs = performance.now();
  return () => (performance.now() - startedMs) / 1000;
}
