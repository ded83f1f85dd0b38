import { Module } from '@nestjs/common';
import { DatabaseModule } from '@weir/platform/database';
import { SubgraphModule } from '@weir/platform/graphql';
import { PrismaClient } from './generated/prisma/client.ts';
import { InvoicesResolver } from './invoices/invoices.resolver.ts';
import { InvoicesService } from './invoices/invoices.service.ts';
import { PlansResolver } from './plans/plans.resolver.ts';
import { PlansService } from './plans/plans.service.ts';
import { PlansStore } from './plans/plans.store.ts';
import { ReconciliationMetrics } from './reconciliation/reconciliation.metrics.ts';
import { ReconciliationResolver } from './reconciliation/reconciliation.resolver.ts';
import { ReconciliationService } from './reconciliation/reconciliation.service.ts';
import { ReconciliationStore } from './reconciliation/reconciliation.store.ts';
import { SubscriptionsResolver } from './subscriptions/subscriptions.resolver.ts';
import { SubscriptionsService } from './subscriptions/subscriptions.service.ts';
import { SubscriptionsStore } from './subscriptions/subscriptions.store.ts';
import { TenantDirectory } from './tenants/tenant-directory.ts';
import { UsageSumsStore } from './usage/usage-sums.store.ts';
import { UsageConsumer } from './usage/usage.consumer.ts';

/** The resolvers of the subgraph. */
export const BILLING_RESOLVERS = [PlansResolver, SubscriptionsResolver, InvoicesResolver, ReconciliationResolver];

/** What things cost, who pays by which plan, and what is owed. */
@Module({
  imports: [
    DatabaseModule.forService({ service: 'billing', createClient: (adapter) => new PrismaClient({ adapter }) }),
    SubgraphModule.forService({ service: 'billing' }),
  ],
  providers: [
    PlansStore,
    PlansService,
    SubscriptionsStore,
    SubscriptionsService,
    TenantDirectory,
    UsageSumsStore,
    UsageConsumer,
    ReconciliationStore,
    ReconciliationService,
    ReconciliationMetrics,
    InvoicesService,
    ...BILLING_RESOLVERS,
  ],
})
export class BillingModule {}
