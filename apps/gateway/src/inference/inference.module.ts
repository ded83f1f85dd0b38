import { Module } from '@nestjs/common';
import { EdgeModule } from '../edge/edge.module.ts';
import { ProjectionsModule } from '../projections/projections.module.ts';
import { Projections } from '../projections/projections.ts';
import { SpoolModule } from '../spool/spool.module.ts';
import { Admission } from './admission.ts';
import { CATALOGUE } from './catalogue.ts';
import { IdempotencyModule } from './idempotency/idempotency.module.ts';
import { GrpcMethods } from './grpc/grpc-methods.ts';
import { GrpcServer } from './grpc/grpc-server.ts';
import { InferResolver } from './infer.resolver.ts';
import { InterruptedCalls } from './interrupted-calls.ts';
import { InferenceService } from './inference.service.ts';
import { ModelRepository } from './model-repository.ts';
import { ModelSignatures } from './model-signatures.ts';
import { ModelStatistics } from './model-statistics.ts';
import { OpenInferenceRoutes } from './open-inference.routes.ts';
import { InMemoryReservations, RESERVATIONS } from './reservations.ts';
import { Router } from './routing.ts';
import { Settlements } from './settlement.ts';
import { UsageClaims } from './usage-claims.ts';
import { WorkerClient } from './worker-client.ts';

/** The seven steps of an inference, and the surfaces that lead into them. */
@Module({
  imports: [ProjectionsModule, EdgeModule, SpoolModule, IdempotencyModule],
  providers: [
    { provide: CATALOGUE, useExisting: Projections },
    { provide: RESERVATIONS, useClass: InMemoryReservations },
    Admission,
    Router,
    UsageClaims,
    WorkerClient,
    Settlements,
    InterruptedCalls,
    InferenceService,
    ModelRepository,
    ModelSignatures,
    ModelStatistics,
    OpenInferenceRoutes,
    GrpcMethods,
    GrpcServer,
    InferResolver,
  ],
  exports: [InferResolver],
})
export class InferenceModule {}
