import { Module } from '@nestjs/common';
import { Projections } from './projections.ts';

/** What the gateway knows of the platform, in memory. */
@Module({ providers: [Projections], exports: [Projections] })
export class ProjectionsModule {}
