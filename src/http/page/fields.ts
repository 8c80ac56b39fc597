/** The fields of a request of the page, each of a known kind and bounded before anything is done with it. */
import { CodedError } from '../../domain/errors.js';

export class Fields {
  private readonly values: Record<string, unknown>;

  /** @throws CodedError INVALID_ARGUMENT for what is no object, or has a field that is not among `known` */
  constructor(body: unknown, known: readonly string[]) {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw invalid('the body is no object', 'Send a JSON object.');
    for (const name of Object.keys(body))
      if (!known.includes(name))
        throw invalid(
          `${JSON.stringify(name.slice(0, 40))}: unknown`,
          known.length === 0 ? 'There are no fields here.' : `There are ${known.join(', ')}.`,
        );
    this.values = body as Record<string, unknown>;
  }

  /** @param maxChars in UTF-16 units */
  text(name: string, maxChars: number): string | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw invalid(`${name}: no text`, 'Give a string.');
    if (value.length > maxChars) throw invalid(`${name}: too long`, `Give up to ${maxChars} characters.`);
    return value;
  }

  needed(name: string, maxChars: number): string {
    const value = this.text(name, maxChars);
    if (value === undefined || value === '') throw invalid(`${name}: it is missing`, 'Give it.');
    return value;
  }

  number(name: string, min: number, max: number): number | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max)
      throw invalid(`${name}: no whole number within its bounds`, `Give ${min} to ${max}.`);
    return value as number;
  }

  flag(name: string): boolean | undefined {
    const value = this.values[name];
    if (value !== undefined && typeof value !== 'boolean')
      throw invalid(`${name}: neither true nor false`, 'Give true or false.');
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.text(name, 40);
    if (value === undefined || (choices as readonly string[]).includes(value)) return value as T | undefined;
    throw invalid(`${name}: none of its values`, `There are ${choices.join(', ')}.`);
  }
}

/** Fields that were given, without those that were not. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

const invalid = (message: string, wayOut: string) => new CodedError('INVALID_ARGUMENT', message, wayOut);
