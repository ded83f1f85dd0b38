import { Module } from '@nestjs/common';
import { PasswordsModule } from './passwords.module.ts';
import { PeopleResolver } from './people.resolver.ts';
import { PeopleService } from './people.service.ts';

@Module({ imports: [PasswordsModule], providers: [PeopleService, PeopleResolver] })
export class PeopleModule {}
