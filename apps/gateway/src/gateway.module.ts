import { Module } from '@nestjs/common';
import { EdgeModule } from './edge/edge.module.ts';
import { GraphModule } from './graph/graph.module.ts';
import { InferenceModule } from './inference/inference.module.ts';
import { InternalPort } from './internal-port.ts';
import { WelcomeModule } from './welcome/welcome.module.ts';

/** The public edge. */
@Module({ imports: [EdgeModule, InferenceModule, GraphModule, WelcomeModule], providers: [InternalPort] })
export class GatewayModule {}
