/** Everything that stands in a store directory, in one place. */
export const PATHS = {
  /** The log's LevelDB database: sequence keys and nothing else. */
  log: 'log',
  /** The head proof. */
  head: 'HEAD',
  /** An empty database whose lock says who owns the store. */
  ownerLock: 'owner',
  /** Who the owner is, for messages. */
  ownerNote: 'owner.json',
  /** Hard links to what LevelDB's open may drop or rewrite. */
  evidence: 'evidence',
  /** What was cut off the log, as raw records. */
  quarantine: 'quarantine',
  /** What a repair took aside: the damaged log and HEAD, as they were. */
  damaged: 'damaged',
  /** A repair's work. */
  repairing: 'repairing',
  /** Saved projections: a cache. */
  checkpoints: 'checkpoints',
  /** Files that live only while a process works on them; emptied at every start. */
  scratch: 'scratch',
  /** Where the owner listens for other processes of its user, and their common token. */
  socketNote: 'socket.json',
  /** Who may use the store over HTTP: a file for each token, with its digest. */
  tokens: 'tokens',
  /** How far the verification of the running store has come: a cache. */
  verified: 'verified.json',
  /** What operations keep: samples, what alerts were sent, when a backup was made. None of it is truth, and all of it can go. */
  ops: 'ops',
} as const;
