import { Module } from '@nestjs/common';
import { DatabaseModule } from '@weir/platform/database';
import { SubgraphModule } from '@weir/platform/graphql';
import { ApiKeysModule } from './api-keys/api-keys.module.ts';
import { createClient } from './auth-database.ts';
import { PeopleModule } from './people/people.module.ts';
import { SessionsModule } from './sessions/sessions.module.ts';
import { SigningKeysModule } from './signing-keys/signing-keys.module.ts';
import { TenantsModule } from './tenants/tenants.module.ts';

/** Tenants, people, sessions, API keys and the keys that sign sessions. */
@Module({
  imports: [
    DatabaseModule.forService({ service: 'auth', createClient }),
    SubgraphModule.forService({ service: 'auth' }),
    TenantsModule,
    PeopleModule,
    SessionsModule,
    ApiKeysModule,
    SigningKeysModule,
  ],
})
export class AuthModule {}
