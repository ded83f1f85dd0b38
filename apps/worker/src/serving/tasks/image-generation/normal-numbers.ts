const TWO_TO_26 = 67_108_864;
const TWO_TO_53 = 9_007_199_254_740_992;
const MASK_64 = 0xffff_ffff_ffff_ffffn;

/** SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): makes well mixed 64-bit numbers of any seed. */
export function* splitMix64(seed: bigint): Generator<bigint, never> {
  for (let state = BigInt.asUintN(64, seed); ;) {
    state = (state + 0x9e37_79b9_7f4a_7c15n) & MASK_64;
    let mixed = state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK_64;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK_64;
    yield mixed ^ (mixed >> 31n);
  }
}

/**
 * xoshiro128** 1.1 (Blackman and Vigna, ACM TOMS 2021): 32-bit numbers with a period of 2^128 − 1.
 *
 * @param state four 32-bit numbers, not all 0
 */
export function xoshiro128([first, second, third, fourth]: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = [first | 0, second | 0, third | 0, fourth | 0];
  return () => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

/**
 * Numbers of the standard normal distribution, the same for the same seed on every machine: SplitMix64 makes the state of xoshiro128**
 * from the seed, two draws make a number of 53 bits, and Marsaglia's polar method makes two normal numbers of two of those. In double
 * precision, rounded to single where they become a latent, so that what a machine's logarithm does in its last bit is not seen.
 *
 * @param seed any 64 bits, as INT64
 */
export function normalNumbers(seed: bigint): () => number {
  const seeds = splitMix64(seed);
  const [one, two] = [seeds.next().value, seeds.next().value];
  const low = (bits: bigint): number => Number(bits & 0xffff_ffffn);
  const draw = xoshiro128([low(one), low(one >> 32n), low(two), low(two >> 32n)]);
  const uniform = (): number => ((draw() >>> 5) * TWO_TO_26 + (draw() >>> 6)) / TWO_TO_53;
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
}
