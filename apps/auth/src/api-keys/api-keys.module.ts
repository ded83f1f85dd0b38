import { Module } from '@nestjs/common';
import { ApiKeysResolver } from './api-keys.resolver.ts';
import { ApiKeysService } from './api-keys.service.ts';

@Module({ providers: [ApiKeysService, ApiKeysResolver] })
export class ApiKeysModule {}
