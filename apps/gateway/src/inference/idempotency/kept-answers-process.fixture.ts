// Keeps answers as fast as it can and tells of each that is kept, until it is killed.
import { systemClock } from '@weir/kernel';
import { anAnswer, anIdentity, silent } from './kept-answers.fixture.ts';
import { KeptAnswers } from './kept-answers.ts';

const [directory = '', name = ''] = process.argv.slice(2);
const answers = await KeptAnswers.open({ directory, maxBytes: 4_194_304, maxKeys: 100_000 }, systemClock, silent);
let next = 0;
const keep = async (): Promise<void> => {
  for (;;) {
    const key = `${name}-${next++}`;
    await answers.keep(anIdentity(key), `tenant-${next % 40}`, anAnswer(`${key} ${'x'.repeat(next % 700)}`));
    process.send?.(key);
  }
};
await Promise.all(Array.from({ length: 8 }, keep));
