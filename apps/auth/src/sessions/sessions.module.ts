import { Module } from '@nestjs/common';
import { PasswordsModule } from '../people/passwords.module.ts';
import { SigningKeysModule } from '../signing-keys/signing-keys.module.ts';
import { KnownDevices } from './known-devices.ts';
import { PasswordStrategy } from './password.strategy.ts';
import { SessionsController } from './sessions.controller.ts';
import { SessionsService } from './sessions.service.ts';
import { SignInThrottle } from './sign-in-throttle.ts';

@Module({
  imports: [PasswordsModule, SigningKeysModule],
  providers: [SessionsService, SignInThrottle, KnownDevices, PasswordStrategy],
  controllers: [SessionsController],
})
export class SessionsModule {}
