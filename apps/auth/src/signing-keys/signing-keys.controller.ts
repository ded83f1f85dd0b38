import { Controller, Get, Header, Inject } from '@nestjs/common';
import { SigningKeysService } from './signing-keys.service.ts';

@Controller('.well-known')
export class SigningKeysController {
  readonly #signingKeys: SigningKeysService;

  constructor(@Inject(SigningKeysService) signingKeys: SigningKeysService) {
    this.#signingKeys = signingKeys;
  }

  /** The JSON Web Key Set with which session tokens can be checked. */
  @Get('jwks.json')
  @Header('cache-control', 'public, max-age=300')
  jwks(): ReturnType<SigningKeysService['jwks']> {
    return this.#signingKeys.jwks();
  }
}
