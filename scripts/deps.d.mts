export interface AuditVerdict {
  readonly state: 'sound' | 'vulnerable' | 'unknown';
  readonly message: string;
  readonly vulnerable?: readonly {
    readonly name: string;
    readonly severity: string;
    readonly via: readonly string[];
  }[];
}
export function judgeAudit(stdout: string): AuditVerdict;
export function judgeOutdated(
  stdout: string,
): readonly { name: string; current: string; wanted: string; latest: string }[] | undefined;
