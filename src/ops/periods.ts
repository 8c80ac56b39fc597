/** What a report is of: 24 hours, 7 days or 30 days, the last one as far as it has come. Apart from the code of reports, for --help. */
export const PERIODS = ['day', 'week', 'month'] as const;
export type Period = (typeof PERIODS)[number];
