/** What one check found. */
export interface Finding {
  /** What was checked, in a word or two. */
  readonly check: string;
  /** `warn`: works, but not as it should; `fail`: does not. */
  readonly state: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it; with warn and fail. */
  readonly wayOut?: string;
}

export const ok = (check: string, message: string): Finding => ({ check, state: 'ok', message });
export const warn = (check: string, message: string, wayOut: string): Finding => ({
  check,
  state: 'warn',
  message,
  wayOut,
});
export const fail = (check: string, message: string, wayOut: string): Finding => ({
  check,
  state: 'fail',
  message,
  wayOut,
});
