import { tenantChanged } from '@weir/contracts';
import { systemClock, systemIds } from '@weir/kernel';
import { createEventBus } from '../bus/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { ACROSS_TENANTS, Database } from './database.ts';
import { OutboxRelay } from './outbox-relay.ts';
import { Outbox } from './outbox.ts';
import { noPrisma } from './no-prisma.fixture.ts';

// The process that outbox-relay.int.spec.ts kills: it commits state with its events, and relays them.

const [url = '', busUrl = ''] = process.argv.slice(2);
const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });
const database = new Database({ url, schema: 'auth', applicationName: 'spec', createClient: noPrisma, logger });
const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
const bus = createEventBus({ kind: 'embedded', url: busUrl }, { logger, clientId: 'spec' });
const relay = new OutboxRelay({ database, bus, logger });
relay.start();

for (;;) {
  await database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
    for (const key of ['a', 'b', 'c']) {
      const { rows } = await tx.query<{ n: number }>(
        'insert into written (key, n) select $1, coalesce(max(n), 0) + 1 from written where key = $1 returning n',
        [key],
      );
      await outbox.publish(tx, tenantChanged, { id: key, slug: key, displayName: String(rows[0]?.n), status: 'active' }, { tenant: key });
    }
  });
  relay.wake();
}
