// Signing in by a provider: sends the browser there, and makes of its answer who somebody is.
// Not responsible for the steps of a person (`login-server`), for OAuth (`connections/connect/authorization`) or for proof (`identity`).
// Invariant: a state is random, good for ten minutes, used once, and of the browser that began; what was begun for one provider and client
// ends with that one; neither token nor claims of the provider are kept. Never rejects but where the store cannot be written.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { CompiledSignInProvider } from '../../config/compiled-auth.ts';
import type { Authorization } from '../../connections/connect/authorization.ts';
import type { LoginStore, SecretStore } from '../../vault/stores.ts';
import { Identities, type IdentityPorts } from './identity.ts';
import { refusedBy, type Who, whoIs } from './who.ts';

const KIND = 'SignIn';
const KEPT_MS = 600_000;
/** Begun and not answered, of all people. */
const MOST = 5000;
const NONCE_BYTES = 32;
const STATE = /^[A-Za-z0-9_-]{43}$/;

export interface UpstreamPorts extends IdentityPorts {
  readonly authorization: Pick<Authorization, 'begin' | 'finish'>;
  readonly providers: { readonly [name: string]: CompiledSignInProvider };
  readonly secrets: Pick<SecretStore, 'get'>;
  readonly login: Pick<LoginStore, 'find' | 'put' | 'spend'>;
}

/** What a sign-in is about, known again when the browser comes back. */
export interface Begun {
  /** Of the step at which the person is. */
  readonly uid: string;
  readonly provider: string;
  readonly tenant: string;
  /** Id of the client that wants to be let in. */
  readonly client: string;
}
interface Sent extends Begun {
  readonly binding: string;
  /** Digest of the browser's secret. */
  readonly browser: string;
  readonly verifier: string;
  readonly nonce: string;
}
/** `reason`: exact, for the audit. */
export type Sending = { readonly ok: true; readonly url: string } | { readonly ok: false; readonly reason: string };
export type Came =
  | { readonly kind: 'who'; readonly begun: Begun; readonly who: Who }
  /** Nothing that was begun here and not answered. */
  | { readonly kind: 'unknown'; readonly begun: undefined; readonly reason: string }
  | {
      readonly kind: 'used' | 'other_browser' | 'denied' | 'not_allowed' | 'failed';
      readonly begun: Begun;
      readonly reason: string;
    };

export class UpstreamSignIn {
  readonly #ports: UpstreamPorts;
  readonly #identities: Identities;

  constructor(ports: UpstreamPorts) {
    this.#ports = ports;
    this.#identities = new Identities(ports);
  }

  /** @param again the person is to say again who they are */
  async begin(begun: Begun, browser: string, again: boolean): Promise<Sending> {
    const { authorization, login, now } = this.#ports;
    const found = this.#find(begun.provider);
    if (typeof found === 'string') return { ok: false, reason: found };
    const { provider, application } = found;
    const nonce = provider.openid === undefined ? '' : randomBytes(NONCE_BYTES).toString('base64url');
    const sent = await authorization.begin(application, {
      ...(nonce === '' ? {} : { nonce }),
      ...(again && provider.again !== undefined ? { prompt: provider.again } : {}),
    });
    if (!sent.ok) return sent;
    const value: Sent = { ...begun, binding: bindingOf(provider), browser, verifier: sent.verifier, nonce };
    login.put(KIND, sent.state, { value: { ...value }, expiresAt: now() + KEPT_MS }, {}, MOST);
    return { ok: true, url: sent.url };
  }

  /**
   * @param answer the query that the provider sent the browser back with
   * @param browser digest of its secret; undefined where it brought none
   */
  async end(answer: URLSearchParams, browser: string | undefined): Promise<Came> {
    const { login, now } = this.#ports;
    const state = answer.get('state') ?? '';
    const stored = STATE.test(state) ? login.find(KIND, state, now()) : undefined;
    if (stored === undefined) return { kind: 'unknown', begun: undefined, reason: 'no such state, or it has expired' };
    const { binding, browser: began, verifier, nonce, ...begun } = stored.value as unknown as Sent;
    if (!isSame(began, browser)) return { kind: 'other_browser', begun, reason: 'the state is of another browser' };
    // Before anything else: whatever comes of it, this state is used.
    if (!login.spend(KIND, state, now())) return { kind: 'used', begun, reason: 'the state was used already' };
    const found = this.#find(begun.provider);
    const failed = (reason: string, kind: 'failed' | 'denied' | 'not_allowed' = 'failed'): Came => ({ kind, begun, reason });
    if (typeof found === 'string') return failed(found);
    const { provider, application } = found;
    if (bindingOf(provider) !== binding) return failed('the provider was configured anew meanwhile');
    const finished = await this.#ports.authorization.finish(application, answer, { state, verifier });
    if (!finished.ok) return failed(finished.reason, finished.denied === true ? 'denied' : 'failed');
    const { tokens, idToken } = finished;
    const claimed = await this.#identities.claims(provider, { accessToken: tokens.accessToken, idToken }, nonce);
    if (!claimed.ok) return failed(claimed.reason);
    const who = whoIs(claimed.claims, provider);
    if (typeof who === 'string') return failed(who);
    const refused = refusedBy(provider.allow, claimed.claims);
    return refused === undefined ? { kind: 'who', begun, who } : failed(refused, 'not_allowed');
  }

  /** A text is why it cannot be asked. */
  #find(name: string) {
    const { providers, secrets } = this.#ports;
    const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
    if (provider === undefined) return 'there is no such provider';
    const { oauth } = provider;
    const ref = oauth.clientSecret;
    const secret = ref === undefined ? undefined : secrets.get(ref.owner, ref.secret);
    if (ref !== undefined && secret === undefined) return `set its secret: leasehold secret set --server ${ref.secret}`;
    return { provider, application: { oauth, secret, scopes: oauth.scopes } };
  }
}

/** A code for one client of one provider is nothing to another. */
function bindingOf({ oauth: { issuer, endpoints, clientId } }: CompiledSignInProvider): string {
  return JSON.stringify([issuer, endpoints, clientId]);
}

function isSame(expected: string, given: string | undefined): boolean {
  if (given === undefined) return false;
  const [left, right] = [Buffer.from(expected), Buffer.from(given)];
  return left.length === right.length && timingSafeEqual(left, right);
}
