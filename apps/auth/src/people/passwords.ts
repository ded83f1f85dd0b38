import { Injectable } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import { hash, verify, type Options } from '@node-rs/argon2';

/** OWASP's recommendation for argon2id (the library's default variant): 19 MiB, two passes, one lane. */
const ARGON2: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Hashes at work or waiting. Each takes some 30 ms of a core: more would only wait longer than callers do. */
const MAX_UNDER_WAY = 64;

/** Hashes and checks passwords. */
@Injectable()
export class Passwords {
  #underWay = 0;
  /** Checked when there is no such person, so that the answer takes as long as for a wrong password. */
  readonly #nobodysHash = hash(crypto.randomUUID(), ARGON2);

  /** @throws service.unavailable too many are waiting */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => hash(normal(password), ARGON2));
  }

  /**
   * Is it the password of this hash? Takes the same time when there is no hash (no such person); the answer is false then.
   *
   * @throws service.unavailable too many are waiting
   */
  verify(password: string, passwordHash: string | null): Promise<boolean> {
    return this.#inTurn(async () => {
      const isRight = await verify(passwordHash ?? (await this.#nobodysHash), normal(password));
      return isRight && passwordHash !== null;
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay >= MAX_UNDER_WAY)
      throw new AppError('service.unavailable', { message: 'Too many sign-ins at once.', retryAfterMs: 1_000 });
    this.#underWay++;
    try {
      return await work();
    } finally {
      this.#underWay--;
    }
  }
}

/** The same password typed on two keyboards may differ in its code points. */
function normal(password: string): string {
  return password.normalize('NFKC');
}
