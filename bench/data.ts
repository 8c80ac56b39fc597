/** Seeded data: the same on every machine and in every process. */
import type { CallContext } from '#src/domain/face.js';
import type { IndexEngine } from '#src/domain/model.js';

/** VECTOR_INDEX, as the program itself reads it. */
export const benchEngine: IndexEngine = process.env.VECTOR_INDEX === 'hnswlib' ? 'hnswlib' : 'usearch';

/** Who writes and asks in benchmarks. */
export const benchContext: CallContext = {
  actor: {
    clientName: 'bench',
    clientVersion: '1',
    session: 'bench',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'bench',
  },
};

/** xorshift32 (Marsaglia 2003) and Box-Muller. */
export class SeededRandom {
  constructor(private state = 20_261_122) {}

  /** In (0, 1). */
  uniform(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return ((this.state >>> 0) + 0.5) / 2 ** 32;
  }

  gaussian(): number {
    return Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }
}

/** Unit vectors around 200 seeded centres. */
export function clusteredVectors(random: SeededRandom, dimension: number): () => Float32Array {
  const centres = Array.from({ length: 200 }, () =>
    Float32Array.from({ length: dimension }, () => random.gaussian()),
  );
  return () => {
    const centre = centres[random.below(centres.length)];
    const vector = centre.map(component => component + 0.7 * random.gaussian());
    const norm = Math.sqrt(vector.reduce((sum, component) => sum + component * component, 0));
    return vector.map(component => component / norm);
  };
}

/** Texts of words that look like words, common ones more often than rare ones. */
export function texts(random: SeededRandom, words = 25): () => string {
  const syllables = [
    'ka',
    'ro',
    'mi',
    'ten',
    'ul',
    'sor',
    'pe',
    'lin',
    'da',
    'quo',
    'ver',
    'an',
    'be',
    'cho',
    'fi',
    'gus',
  ];
  const vocabulary = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 2 + random.below(3) }, () => syllables[random.below(syllables.length)]).join(''),
  );
  return () =>
    Array.from(
      { length: words },
      () => vocabulary[Math.floor(vocabulary.length * random.uniform() ** 3)],
    ).join(' ');
}

const SUBJECTS = ['The deploy job', 'A nightly backup', 'Our login page', 'The parser', 'This migration'];
const REST = 'fails when the disk is full and nobody has looked at the log for a week or two';

/** Distinct texts of `words` English words, for the model: it takes apart what it does not know. */
export function* sentences(words: number): Generator<string> {
  for (let n = 0; ; n++) {
    const pool = `${SUBJECTS[n % SUBJECTS.length]} ${n} ${REST}`.split(' ');
    yield Array.from({ length: words }, (_, i) => pool[i % pool.length]).join(' ');
  }
}
