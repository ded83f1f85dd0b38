import { Module } from '@nestjs/common';
import { PasswordsModule } from '../people/passwords.module.ts';
import { TenantsResolver } from './tenants.resolver.ts';
import { TenantsService } from './tenants.service.ts';

@Module({ imports: [PasswordsModule], providers: [TenantsService, TenantsResolver] })
export class TenantsModule {}
