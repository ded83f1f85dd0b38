import { Module } from '@nestjs/common';
import { EdgeModule } from './edge/edge.module.ts';
import { InferenceModule } from './inference/inference.module.ts';
import { InternalPort } from './internal-port.ts';

/** The public edge. */
@Module({ imports: [EdgeModule, InferenceModule], providers: [InternalPort] })
export class GatewayModule {}
