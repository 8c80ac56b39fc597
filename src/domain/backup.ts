/** What is asked of the store that is backed up, and what it answers. */
export interface BackupCommand {
  /** The directory of backups, absolute. */
  readonly to: string;
  /** Write all records anew. Default false. */
  readonly full?: boolean;
  /** Read of the log at most. Default: no bound. */
  readonly bytes_per_second?: number;
  /** A configuration to be taken along: opaque text, of whoever asks. */
  readonly config?: string;
}

export interface BackupAnswer {
  readonly id: string;
  readonly path: string;
  readonly kind: 'full' | 'incremental';
  /** An earlier backup holds all there is: nothing was written, and that one is named. */
  readonly is_unchanged: boolean;
  /** Its last event. */
  readonly last: { readonly seq: number; readonly hash: string; readonly time: string };
  readonly epoch: number;
  readonly records: number;
  readonly written_records: number;
  readonly size_bytes: number;
  /** The configuration that it has along, in `config/`. */
  readonly config?: string;
}
