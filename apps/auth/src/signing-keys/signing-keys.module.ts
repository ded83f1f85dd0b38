import { Module } from '@nestjs/common';
import { SigningKeysController } from './signing-keys.controller.ts';
import { SigningKeysService } from './signing-keys.service.ts';

@Module({ providers: [SigningKeysService], controllers: [SigningKeysController], exports: [SigningKeysService] })
export class SigningKeysModule {}
