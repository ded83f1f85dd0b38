import { Module } from '@nestjs/common';
import { DatabaseModule } from '@weir/platform/database';
import { SubgraphModule } from '@weir/platform/graphql';
import { PrismaClient } from './generated/prisma/client.ts';
import { LedgerConsumer } from './ledger/ledger.consumer.ts';
import { LedgerStore } from './ledger/ledger.store.ts';
import { ReconciliationResolver } from './ledger/reconciliation.resolver.ts';
import { ReconciliationService } from './ledger/reconciliation.service.ts';
import { ReconciliationStore } from './ledger/reconciliation.store.ts';
import { PeriodTotalsPublisher } from './period-totals/period-totals.publisher.ts';
import { PeriodTotalsStore } from './period-totals/period-totals.store.ts';
import { ReceiptsResolver } from './receipts/receipts.resolver.ts';
import { ReceiptsService } from './receipts/receipts.service.ts';
import { ReceiptsStore } from './receipts/receipts.store.ts';
import { UsageResolver } from './usage/usage.resolver.ts';
import { UsageService } from './usage/usage.service.ts';
import { UsageStore } from './usage/usage.store.ts';

/** The resolvers of the subgraph. */
export const METERING_RESOLVERS = [UsageResolver, ReceiptsResolver, ReconciliationResolver];

/** What was used: the ledger of calls, its sums, receipts. */
@Module({
  imports: [
    DatabaseModule.forService({ service: 'metering', createClient: (adapter) => new PrismaClient({ adapter }) }),
    SubgraphModule.forService({ service: 'metering' }),
  ],
  providers: [
    LedgerStore,
    LedgerConsumer,
    ReconciliationStore,
    ReconciliationService,
    PeriodTotalsStore,
    PeriodTotalsPublisher,
    ReceiptsStore,
    ReceiptsService,
    UsageStore,
    UsageService,
    ...METERING_RESOLVERS,
  ],
})
export class MeteringModule {}
