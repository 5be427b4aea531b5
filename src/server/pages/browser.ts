// Which browser it is: a random cookie of ours, and the token against cross-site requests that is made of it.
// Not responsible for who sits in front of it (sign-in). The cookie proves one thing: the same browser as before.
// Invariant: on https the cookie is `__Host-`, so no sibling host and no plain http can set it; a token fits one browser and one purpose.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

const BYTES = 32;
const VALUE = /^[A-Za-z0-9_-]{43}$/;
const DAY_S = 86_400;

/** A cookie name with the attributes that its prefix demands. */
export interface CookieKind {
  readonly name: string;
  readonly options: {
    readonly path: '/';
    readonly httpOnly: true;
    readonly sameSite: 'lax';
    readonly secure: boolean;
  };
}

/** @param secure the server is reached over https */
export function cookieKind(name: string, secure: boolean): CookieKind {
  return {
    name: secure ? `__Host-${name}` : name,
    options: { path: '/', httpOnly: true, sameSite: 'lax', secure },
  };
}

export class Browsers {
  readonly #cookie: CookieKind;

  constructor(secure: boolean) {
    this.#cookie = cookieKind('lh-browser', secure);
  }

  /** The browser's secret, or undefined where it brought none that is ours. */
  known(request: FastifyRequest): string | undefined {
    const value = request.cookies[this.#cookie.name];
    return value !== undefined && VALUE.test(value) ? value : undefined;
  }

  /** The same, given where there is none yet. */
  ensure(request: FastifyRequest, reply: FastifyReply): string {
    const known = this.known(request);
    if (known !== undefined) return known;
    const value = randomBytes(BYTES).toString('base64url');
    void reply.setCookie(this.#cookie.name, value, { ...this.#cookie.options, maxAge: DAY_S });
    return value;
  }
}

/** What may be stored of a browser's secret. */
export function browserDigest(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** The token of a form. Nobody else knows the browser's secret, so no key of the server is needed and it outlives a restart. */
export function formToken(secret: string, purpose: string): string {
  return createHmac('sha256', secret).update(purpose).digest('base64url');
}

export function isFormToken(secret: string | undefined, purpose: string, given: unknown): boolean {
  if (secret === undefined || typeof given !== 'string') return false;
  const expected = Buffer.from(formToken(secret, purpose));
  const sent = Buffer.from(given);
  return sent.length === expected.length && timingSafeEqual(sent, expected);
}
