import { toServingSchema } from './control-messages.ts';
import { endAtOnce, ServingProcess } from './serving-process.ts';

// The entry of a serving process, started by a worker's supervisor with a channel to it. Its first message says what it needs.

let serving: ServingProcess | null = null;

process.on('message', (raw) => {
  const message = toServingSchema.parse(raw);
  if (message.kind === 'configure') {
    // Whom a reply does not reach any more is gone: 'disconnect' follows.
    serving = new ServingProcess(message.settings, (reply) => process.send?.(reply, () => undefined));
    void serving.start();
  } else {
    serving?.handle(message);
  }
});
// Without its supervisor nobody would end a run that hangs.
process.on('disconnect', endAtOnce);
// It may have gone while this process started.
if (!process.connected) endAtOnce();
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  endAtOnce();
});
// The supervisor decides when to stop: a signal to the whole group reaches this process too.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);
