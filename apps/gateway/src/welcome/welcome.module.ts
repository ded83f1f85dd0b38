import { Module } from '@nestjs/common';
import { WelcomeController } from './welcome.controller.ts';

/** The page at `/`. */
@Module({ controllers: [WelcomeController] })
export class WelcomeModule {}
