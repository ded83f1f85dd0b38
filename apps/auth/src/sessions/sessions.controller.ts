import { Controller, Get, HttpCode, Inject, Post, Req, Res, UseGuards } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import { SETTINGS } from '@weir/platform/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuthSettings } from '../settings.ts';
import { deviceCookie, sessionCookie, sessionTokenInCookies } from './cookies.ts';
import { KnownDevices } from './known-devices.ts';
import { PasswordGuard, type ProvenPerson } from './password.strategy.ts';
import type { SignedIn } from './session.ts';
import { SessionsService } from './sessions.service.ts';

/** What sign-in and session answer. */
interface SignedInBody {
  /** ISO 8601. */
  readonly expiresAt: string;
  readonly tenant: { readonly id: string; readonly slug: string; readonly displayName: string };
  readonly person: { readonly id: string; readonly name: string; readonly email: string; readonly role: string };
}

@Controller('auth')
export class SessionsController {
  readonly #sessions: SessionsService;
  readonly #devices: KnownDevices;
  /** Browsers must send the cookies over TLS alone: users reach the platform by https, whatever the hop to this process is. */
  readonly #isSecure: boolean;

  constructor(
    @Inject(SessionsService) sessions: SessionsService,
    @Inject(KnownDevices) devices: KnownDevices,
    @Inject(SETTINGS) settings: AuthSettings,
  ) {
    this.#sessions = sessions;
    this.#devices = devices;
    this.#isSecure = settings.publicUrl !== undefined && new URL(settings.publicUrl).protocol === 'https:';
  }

  /** `{ email, password }` → a session: its token in the body for programs, and in a cookie for browsers, which become known devices. */
  @Post('sign-in')
  @HttpCode(200)
  @UseGuards(PasswordGuard)
  async signIn(
    @Req() request: { readonly user: ProvenPerson },
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SignedInBody & { readonly token: string }> {
    const { person, device } = request.user;
    const opened = await this.#sessions.open(person);
    this.#setSessionCookie(reply, opened.token, opened.expiresAt);
    const proof = await this.#devices.remember(person.id, device);
    void reply.header('set-cookie', deviceCookie(person.email, proof.token, proof.expiresAt, this.#isSecure));
    return { token: opened.token, ...bodyOf(opened) };
  }

  /** Ends the session of the cookie or the bearer token. */
  @Post('sign-out')
  @HttpCode(204)
  async signOut(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    // The browser forgets the cookie whatever becomes of the session.
    this.#setSessionCookie(reply, '', new Date(0));
    await this.#sessions.signOut(sessionTokenOf(request));
  }

  /** Who is signed in. */
  @Get('session')
  async session(@Req() request: FastifyRequest): Promise<SignedInBody> {
    return bodyOf(await this.#sessions.current(sessionTokenOf(request)));
  }

  #setSessionCookie(reply: FastifyReply, value: string, expires: Date): void {
    void reply.header('cache-control', 'no-store');
    void reply.header('set-cookie', sessionCookie(value, expires, this.#isSecure));
  }
}

/** @throws auth.required there is no session token */
function sessionTokenOf(request: FastifyRequest): string {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const token = bearer ?? sessionTokenInCookies(request.headers.cookie);
  if (token === undefined) throw new AppError('auth.required');
  return token;
}

function bodyOf({ expiresAt, tenant, person }: SignedIn): SignedInBody {
  return {
    expiresAt: expiresAt.toISOString(),
    tenant: { id: tenant.id, slug: tenant.slug, displayName: tenant.displayName },
    person: { id: person.id, name: person.name, email: person.email, role: person.role },
  };
}
