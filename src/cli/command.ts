/** What a command is to the command line: its options for parsing and --help, and where its code lies. */

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What stands after the flag in --help, e.g. `DIR`; for `string` only. */
  readonly value?: string;
  readonly meaning: string;
  /** The only values it takes. */
  readonly choices?: readonly string[];
  /** May be given several times. */
  readonly isRepeatable?: boolean;
}

export type Options = Readonly<Record<string, Option>>;

/** One call of a command, parsed and checked against its definition. */
export interface Call {
  readonly positionals: readonly string[];
  /** The value of a string option; undefined where it was not given. */
  text(name: string): string | undefined;
  /** All values of a repeatable option, in order. */
  texts(name: string): readonly string[];
  /** True where the boolean option was given. */
  has(name: string): boolean;
  /**
   * A whole number from an option.
   * @throws CodedError INVALID_ARGUMENT naming the option and its bounds
   */
  integer(name: string, bounds: { min: number; max: number; fallback: number }): number;
}

/** Does the command and answers its exit code (see exit-codes.ts). */
export type Run = (call: Call) => Promise<number>;

export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** After the name in the usage line, e.g. `<query> [options]`. */
  readonly usage: string;
  /** Paragraphs and examples for the command's own --help. */
  readonly details?: string;
  readonly options: Options;
  readonly positionals: { readonly min: number; readonly max: number };
  /**
   * Of a command whose exit codes 0 to 2 are an answer: the one for whatever keeps it from answering, wrong usage included, and what its
   * help says of them.
   */
  readonly exits?: { readonly failed: number; readonly meaning: string };
  /** Loads the command's code, so that --help and the other commands do not pay for it. */
  readonly load: () => Promise<Run>;
}

/** A program of tools/ under the same roof: it parses its own arguments and prints its own help. */
export interface Delegated {
  readonly name: string;
  readonly summary: string;
  readonly delegate: () => Promise<(argv: string[]) => Promise<number>>;
}
