/**
 * Plain requests, as people make them to an agent that has this memory, each with the call that it should lead to, and with
 * a call that comes near it and is wrong: a misspelt or invented argument, a wrong type, a bound passed. The calls are what the descriptions have
 * to bring about; whoever changes a description can put these requests to a model and compare.
 */
export interface PlainRequest {
  readonly says: string;
  readonly tool: string;
  readonly args: object;
  readonly nearMiss: object;
  /** What the refusal of the near miss names. */
  readonly names: RegExp;
}

export const REQUESTS: readonly PlainRequest[] = [
  // Recall
  {
    says: 'How do we deploy to staging again?',
    tool: 'vector_search',
    args: { query: 'How do we deploy to staging?' },
    nearMiss: { text: 'How do we deploy to staging?' },
    names: /text: unknown, did you mean query\?/,
  },
  {
    says: 'What did we decide about Redis, only among the decisions?',
    tool: 'vector_search',
    args: { query: 'What did we decide about Redis?', where: { kind: 'decision' } },
    nearMiss: { query: 'Redis', filter: { kind: 'decision' } },
    names: /filter: unknown, did you mean where\?/,
  },
  {
    says: 'Find the exact error code ERR_WORKER_OUT_OF_MEMORY in my notes.',
    tool: 'vector_search',
    args: { query: 'ERR_WORKER_OUT_OF_MEMORY', mode: 'keyword' },
    nearMiss: { query: 'ERR_WORKER_OUT_OF_MEMORY', mode: 'exact' },
    names: /mode: wants one of hybrid, semantic, keyword/,
  },
  {
    says: 'Give me the three best matches for database migrations, in the docs collection.',
    tool: 'vector_search',
    args: { query: 'database migrations', collections: ['docs'], k: 3 },
    nearMiss: { query: 'database migrations', collection: 'docs', top_k: 3 },
    names: /collection: unknown, did you mean collections\?; top_k: unknown, did you mean k\?/,
  },
  {
    says: 'What did our memory say about the cache last Monday?',
    tool: 'vector_search',
    args: { query: 'cache', as_of: 'last monday' },
    nearMiss: { query: 'cache', at: 'last monday' },
    names: /at: unknown, did you mean as_of\?/,
  },
  {
    says: 'What was written about the cache since last Monday?',
    tool: 'vector_search',
    args: { query: 'cache', since: 'last monday' },
    nearMiss: { query: 'cache', after: 'last monday' },
    names: /after: unknown, did you mean since\?/,
  },
  {
    says: 'Search for retries and show the chunks around each hit.',
    tool: 'vector_search',
    args: { query: 'retries', context: 2 },
    nearMiss: { query: 'retries', context: 50 },
    names: /context: at most 10 allowed/,
  },
  {
    says: 'Search for authentication notes of 2025 or later, but only good matches.',
    tool: 'vector_search',
    args: { query: 'authentication', where: { year: { $gte: 2025 } }, min_score: 0.5 },
    nearMiss: { query: 'authentication', threshold: 0.5 },
    names: /threshold: unknown, did you mean min_score\?/,
  },
  // Remember
  {
    says: 'Remember that we deploy through staging and never on Fridays.',
    tool: 'vector_upsert',
    args: { items: [{ id: 'deploy', text: 'We deploy through staging, and never on Fridays.' }] },
    nearMiss: { text: 'We deploy through staging, and never on Fridays.' },
    names: /text: unknown; items: missing/,
  },
  {
    says: 'Note for later: Ada owns billing. Tag it as people.',
    tool: 'vector_upsert',
    args: { items: [{ text: 'Ada owns billing.', metadata: { topic: 'people' } }] },
    nearMiss: { items: [{ text: 'Ada owns billing.', tags: ['people'] }] },
    names: /items\[0\]\.tags: unknown, did you mean metadata\?/,
  },
  {
    says: 'Correct the note deploy: it is Thursdays now. Only if nobody changed it since version 17.',
    tool: 'vector_upsert',
    args: { items: [{ id: 'deploy', text: 'We deploy on Thursdays.', if_version: 17 }] },
    nearMiss: { items: [{ id: 'deploy', text: 'We deploy on Thursdays.', version: 17 }] },
    names: /items\[0\]\.version: unknown, did you mean if_version\?/,
  },
  {
    says: 'Drop the owner from the metadata of the note deploy.',
    tool: 'vector_upsert',
    args: { items: [{ id: 'deploy', metadata: { owner: null } }] },
    nearMiss: { items: [{ id: 'deploy', metadata: ['owner'] }] },
    names: /items\[0\]\.metadata: array given, wants an object/,
  },
  {
    says: 'Store these two facts in the collection ops.',
    tool: 'vector_upsert',
    args: {
      collection: 'ops',
      items: [{ text: 'Backups run at 3.' }, { text: 'Restores are tested monthly.' }],
    },
    nearMiss: { namespace: 'ops', documents: ['Backups run at 3.'] },
    names: /namespace: unknown, did you mean collection\?; documents: unknown, did you mean items\?/,
  },
  // Read
  {
    says: 'Show me the whole note deploy.',
    tool: 'vector_get',
    args: { ids: ['deploy'] },
    nearMiss: { id: 'deploy' },
    names: /id: unknown, did you mean ids\?; ids: missing/,
  },
  {
    says: 'Show me the notes deploy and oncall as they were three days ago.',
    tool: 'vector_get',
    args: { ids: ['deploy', 'oncall'], as_of: '3 days ago' },
    nearMiss: { ids: [], as_of: '3 days ago' },
    names: /ids: 0 given, at least 1 wanted/,
  },
  {
    says: 'Read docs/setup.md#intro in full, however long it is.',
    tool: 'vector_get',
    args: { collection: 'docs', ids: ['docs/setup.md#intro'], max_chars: 100_000 },
    nearMiss: { collection: 'docs', ids: ['docs/setup.md#intro'], max_chars: 1_000_000 },
    names: /max_chars: at most 100000 allowed/,
  },
  {
    says: 'What do you have stored about ops? Twenty are enough.',
    tool: 'vector_list',
    args: { where: { topic: 'ops' }, limit: 20 },
    nearMiss: { where: { topic: 'ops' }, k: 20 },
    names: /k: unknown, did you mean limit\?/,
  },
  {
    says: 'List what is in the collection docs.',
    tool: 'vector_list',
    args: { collection: 'docs' },
    nearMiss: { collections: ['docs'] },
    names: /collections: unknown, did you mean collection\?/,
  },
  {
    says: 'Go on with the list where you stopped.',
    tool: 'vector_list',
    args: { cursor: 'WzEsMl0' },
    nearMiss: { offset: 50 },
    names: /offset: unknown, did you mean cursor\?/,
  },
  // Forget
  {
    says: 'Forget the note deploy.',
    tool: 'vector_delete',
    args: { ids: ['deploy'] },
    nearMiss: { id: 'deploy' },
    names: /id: unknown, did you mean ids\?/,
  },
  {
    says: 'What would go if you deleted everything about ops? Do not do it yet.',
    tool: 'vector_delete',
    args: { where: { topic: 'ops' }, dry_run: true },
    nearMiss: { where: { topic: 'ops' }, preview: true },
    names: /preview: unknown, did you mean dry_run\?/,
  },
  {
    says: 'Delete everything older than 2024 from the collection news.',
    tool: 'vector_delete',
    args: { collection: 'news', where: { year: { $lt: 2024 } } },
    nearMiss: { collection: 'news', where: 'year < 2024' },
    names: /where: string given, wants an object/,
  },
  // Documents
  {
    says: 'Read the docs folder into memory.',
    tool: 'vector_ingest',
    args: { paths: ['docs'] },
    nearMiss: { directory: 'docs' },
    names: /directory: unknown, did you mean paths\?; paths: missing/,
  },
  {
    says: 'Index the Markdown files of this project, without node_modules, into docs.',
    tool: 'vector_ingest',
    args: { paths: ['.'], include: ['**/*.md'], exclude: ['node_modules/**'], collection: 'docs' },
    nearMiss: { paths: ['.'], glob: '**/*.md', ignore: 'node_modules/**' },
    names: /glob: unknown, did you mean include\?; ignore: unknown, did you mean exclude\?/,
  },
  {
    says: 'Update the docs, but keep what belongs to files that are gone.',
    tool: 'vector_ingest',
    args: { paths: ['docs'], prune: false },
    nearMiss: { paths: ['docs'], prune: 'never' },
    names: /prune: string given, wants true or false/,
  },
  // Time
  {
    says: 'Who changed the note deploy, and when?',
    tool: 'vector_history',
    args: { id: 'deploy' },
    nearMiss: { ids: ['deploy'] },
    names: /ids: unknown, did you mean id\?/,
  },
  {
    says: 'What did this session store?',
    tool: 'vector_history',
    args: { session: 'current' },
    nearMiss: { session: true },
    names: /session: boolean given, wants a string/,
  },
  {
    says: 'What did Cursor write since yesterday?',
    tool: 'vector_history',
    args: { since: 'yesterday', actor: 'cursor' },
    nearMiss: { since: 'yesterday', client: 'cursor' },
    names: /client: unknown, did you mean actor\?/,
  },
  {
    says: 'What was deleted this week?',
    tool: 'vector_history',
    args: { types: ['deleted'], since: '1 week ago' },
    nearMiss: { types: ['removed'], since: '1 week ago' },
    names: /types\[0\]: wants one of created, updated, deleted/,
  },
  {
    says: 'What is different in memory since yesterday?',
    tool: 'vector_diff',
    args: { from: 'yesterday' },
    nearMiss: { since: 'yesterday' },
    names: /since: unknown, did you mean from\?; from: missing/,
  },
  {
    says: 'Compare the docs between the marks before-cleanup and after-cleanup.',
    tool: 'vector_diff',
    args: { from: 'before-cleanup', to: 'after-cleanup', collection: 'docs' },
    nearMiss: { from: 'before-cleanup', until: 'after-cleanup' },
    names: /until: unknown, did you mean to\?/,
  },
  // Undo
  {
    says: 'Undo the last change to the note deploy. Show me first.',
    tool: 'vector_revert',
    args: { ids: ['deploy'] },
    nearMiss: { id: 'deploy' },
    names: /id: unknown, did you mean ids\?/,
  },
  {
    says: 'What would happen if we went back to before-cleanup?',
    tool: 'vector_revert',
    args: { to: 'before-cleanup' },
    nearMiss: { mark: 'before-cleanup' },
    names: /mark: unknown, did you mean to\?/,
  },
  {
    says: 'Yes, do it as the dry run showed.',
    tool: 'vector_revert',
    args: { to: 'before-cleanup', dry_run: false, plan: '8ca8899ef4926feb' },
    nearMiss: { to: 'before-cleanup', confirm: true },
    names: /confirm: unknown, did you mean dry_run\?/,
  },
  {
    says: 'Take back everything that this session did.',
    tool: 'vector_revert',
    args: { session: 'current' },
    nearMiss: { session: ['current'] },
    names: /session: array given, wants a string/,
  },
  {
    says: 'Take back events 1041 and 1043.',
    tool: 'vector_revert',
    args: { seqs: [1041, 1043] },
    nearMiss: { seq: '1041 and 1043' },
    names: /seq: unknown, did you mean seqs\?/,
  },
  {
    says: 'Restore the old state of Monday, even where others changed things since.',
    tool: 'vector_revert',
    args: { to: 'last monday', overwrite_conflicts: true },
    nearMiss: { to: 'last monday', force: true },
    names: /force: unknown, did you mean overwrite_conflicts\?/,
  },
  // Marks and status
  {
    says: 'We are about to clean up. Name this state before-cleanup.',
    tool: 'vector_mark',
    args: { name: 'before-cleanup', note: 'Merging duplicates' },
    nearMiss: { label: 'before-cleanup' },
    names: /label: unknown, did you mean name\?; name: missing/,
  },
  {
    says: 'Is the memory working? Which collections are there?',
    tool: 'vector_status',
    args: {},
    nearMiss: { verbose: true },
    names: /verbose: unknown/,
  },
  {
    says: 'How many items were there yesterday?',
    tool: 'vector_status',
    args: { as_of: 'yesterday' },
    nearMiss: { time: 'yesterday' },
    names: /time: unknown, did you mean as_of\?/,
  },
];
