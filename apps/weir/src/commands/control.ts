import { z } from 'zod';
import type { Platform } from '../platform/platform.ts';
import { SERVICES, type ServiceName } from '../platform/services.ts';

const TARGETS = [...SERVICES.map((service) => service.name), 'postgresql'] as const;

/** What a process that started the launcher with an IPC channel may ask, to see how the platform bears an outage. */
const requestSchema = z.object({
  id: z.number().int(),
  action: z.enum(['pause', 'resume']),
  target: z.enum(TARGETS as readonly (ServiceName | 'postgresql')[]),
});

/** Answers requests of the parent process, if there is one that listens; tells it that the platform is ready. */
export function serveControl(platform: Platform, url: string): void {
  if (process.send === undefined) return;
  const reply = (message: object): void => {
    // A parent that has gone is seen as `disconnect`.
    process.send?.(message, undefined, undefined, () => undefined);
  };
  process.on('message', (message) => {
    const request = requestSchema.safeParse(message);
    if (!request.success) return;
    const { id, action, target } = request.data;
    carryOut(platform, action, target).then(
      () => reply({ id, done: true }),
      (error: unknown) => reply({ id, done: false, error: String(error) }),
    );
  });
  reply({ type: 'ready', url });
}

async function carryOut(platform: Platform, action: 'pause' | 'resume', target: ServiceName | 'postgresql'): Promise<void> {
  if (target === 'postgresql') await (action === 'pause' ? platform.pauseDatabase() : platform.resumeDatabase());
  else if (action === 'pause') await platform.pause(target);
  else platform.resume(target);
}
