import { Inject, Injectable, type ExecutionContext } from '@nestjs/common';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import { AppError } from '@weir/kernel';
import { parseInput } from '@weir/platform/graphql';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-local';
import type { Person } from '../people/person.ts';
import { deviceTokenInCookies } from './cookies.ts';
import type { KnownDevice } from './known-device.ts';
import { KnownDevices } from './known-devices.ts';
import { signInSchema } from './session.ts';
import { SessionsService } from './sessions.service.ts';

/** A person who gave the right password, and the known device that they did it on. */
export interface ProvenPerson {
  readonly person: Person;
  readonly device: KnownDevice | null;
}

/** Passport's strategy for e-mail address and password. */
@Injectable()
export class PasswordStrategy extends PassportStrategy(Strategy, 'password') {
  readonly #sessions: SessionsService;
  readonly #devices: KnownDevices;

  constructor(@Inject(SessionsService) sessions: SessionsService, @Inject(KnownDevices) devices: KnownDevices) {
    super({ usernameField: 'email', passwordField: 'password', passReqToCallback: true });
    this.#sessions = sessions;
    this.#devices = devices;
  }

  /** Called by passport for a body with both fields; what it resolves to becomes `request.user`. */
  async validate(request: FastifyRequest): Promise<ProvenPerson> {
    const input = parseInput(signInSchema, request.body, 'body');
    const token = deviceTokenInCookies(request.headers.cookie, input.email);
    const device = await this.#devices.recognise(token);
    return { person: await this.#sessions.authenticate(input, { address: addressOf(request), device }), device };
  }
}

/** Lets a request through whose body holds the right e-mail address and password. */
@Injectable()
export class PasswordGuard extends AuthGuard('password') {
  override canActivate(execution: ExecutionContext): ReturnType<InstanceType<ReturnType<typeof AuthGuard>>['canActivate']> {
    const request = execution.switchToHttp().getRequest<FastifyRequest>();
    // A form of another site can post text and forms without asking first, but not JSON.
    if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) throw new AppError('request.unsupported_media_type');
    parseInput(signInSchema, request.body, 'body');
    return super.canActivate(execution);
  }

  /** Passport's own answers would not be of our error table. */
  override handleRequest<User>(error: unknown, user: User | false | null): User {
    if (error !== null && error !== undefined) throw error;
    if (user === false || user === null) throw new AppError('auth.sign_in_failed');
    return user;
  }
}

/**
 * Network address of whoever called the gateway: the last one of `x-forwarded-for`, which the gateway wrote. What stands
 * before it came from outside and proves nothing.
 */
function addressOf(request: FastifyRequest): string {
  const header = request.headers['x-forwarded-for'];
  const last = (Array.isArray(header) ? header.join(',') : (header ?? '')).split(',').at(-1)?.trim();
  return last === undefined || last === '' || last.length > 64 ? request.ip : last;
}
