/** What made-up texts are made of. */
export const WORDS = [
  'harbour',
  'ledger',
  'violet',
  'engine',
  'quarry',
  'willow',
  'copper',
  'lantern',
  'meadow',
  'signal',
];
