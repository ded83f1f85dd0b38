import { Inject, Injectable } from '@nestjs/common';
import { meterSchema, type Meter, type UsageQuantity } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { LOGGER, METRICS } from '@weir/platform/service';
import { Counter, type Logger, type Registry } from '@weir/platform/telemetry';
import type { WorkerRequest } from './worker-client.ts';

type CountedMeter = Exclude<Meter, 'requests'>;

/** Code points that Unicode's NFKC makes of one byte at most (18 of the 3 bytes of U+FDFA): a tokenizer may give a token for each. */
const MAX_TOKENS_PER_BYTE = 6;
/** Tokens that a model may put around one item: special tokens, a prompt template. */
const MAX_ADDED_TOKENS = 64;
/** Fewest bytes of a second of audio: samples of 2 bytes at 1,000 Hz, the lowest rate that a package may name. */
const MIN_AUDIO_BYTES_PER_SECOND = 2_000;
const MS_PER_SECOND = 1_000;

/**
 * Bounds what workers report by what the size of the request can explain, so that no worker, nor a server behind one, makes
 * a call cost whatever it likes.
 */
@Injectable()
export class UsageClaims {
  readonly #logger: Logger;
  readonly #bounded: Counter<'meter'>;

  constructor(@Inject(LOGGER) logger: Logger, @Inject(METRICS) metrics: Registry) {
    this.#logger = logger;
    this.#bounded = new Counter({
      name: 'weir_usage_claims_bounded_total',
      help: 'Counts of workers that the size of their request cannot explain; the bound was metered instead.',
      labelNames: ['meter'],
      registers: [metrics],
    });
  }

  /**
   * Reads what a worker counted, as `inputs=1,input-tokens=12`. A count above its bound is metered at the bound. A meter that this
   * gateway does not know has no price here and is left out: workers may be newer.
   *
   * @throws model.failed when it is no list of counts, each meter once
   */
  read(header: string | undefined, request: Pick<WorkerRequest, 'message' | 'model' | 'version'>): UsageQuantity[] {
    if (header === undefined) return [];
    const counts = countsOf(header);
    const bytes = request.message.body.byteLength;
    const inputs = Math.min(Number(counts.get('inputs') ?? 0), bytes);
    return [...counts].map(([meter, quantity]) => {
      const bound = boundOf(meter, bytes, inputs);
      if (Number(quantity) <= bound) return { meter, quantity };
      this.#bounded.inc({ meter });
      const { model, version } = request;
      this.#logger.warn({ model, version, meter, claimed: quantity, metered: bound }, 'a worker counted more than the request can explain');
      return { meter, quantity: String(bound) };
    });
  }
}

/** An item, a sample and a token of a tensor take at least a byte each, in JSON as in the binary extension. */
function boundOf(meter: CountedMeter, bytes: number, inputs: number): number {
  switch (meter) {
    case 'inputs':
      return bytes;
    case 'input-tokens':
      return bytes * MAX_TOKENS_PER_BYTE + inputs * MAX_ADDED_TOKENS;
    case 'audio-seconds':
      return Math.ceil((bytes * MS_PER_SECOND) / MIN_AUDIO_BYTES_PER_SECOND) / MS_PER_SECOND;
  }
}

function countsOf(header: string): Map<CountedMeter, string> {
  const counts = new Map<CountedMeter, string>();
  for (const part of header.split(',')) {
    const [name, quantity, ...rest] = part.split('=').map((side) => side.trim());
    if (quantity === undefined || rest.length > 0 || !/^\d{1,16}(\.\d{1,3})?$/.test(quantity)) throw noCount();
    const meter = meterSchema.safeParse(name).data;
    if (meter === undefined) continue;
    // The call itself is counted by the gateway.
    if (meter === 'requests' || counts.has(meter)) throw noCount();
    counts.set(meter, quantity);
  }
  return counts;
}

function noCount(): AppError {
  return new AppError('model.failed', { cause: new Error('a worker reported usage that is not a list of counts') });
}
