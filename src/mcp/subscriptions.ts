// `subscriptions/listen` (2026-07-28): standing streams that tell of changed lists and resources.
// Not responsible for what changed (the tenants tell), for comments that keep a stream alive, or for HTTP.
// Invariant: the acknowledgment is first; nothing outside of the filter it names is sent; every message bears the subscription's id;
// who may no longer call gets no further message, and the stream ends.
import { failure } from '../shared/errors.ts';
import { type Answer, text } from './answer.ts';
import { type InboundCall, reject, type Rejection } from './classify.ts';
import { copied, objectAt } from './body.ts';
import type { Inbound } from './inbound.ts';
import { ifAllowed } from './standing.ts';

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const LISTS = ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'] as const;
const LIST_METHODS = {
  toolsListChanged: 'notifications/tools/list_changed',
  promptsListChanged: 'notifications/prompts/list_changed',
  resourcesListChanged: 'notifications/resources/list_changed',
} as const;
const URI_CHARACTERS = 2048;

export interface SubscriptionLimits {
  readonly subscriptionsPerTenant: number;
  readonly subscriptionsPerSubject: number;
  readonly urisPerSubscription: number;
  /** How often every stream's caller is looked at again. */
  readonly recheckMs: number;
}
export const SUBSCRIPTION_LIMITS: SubscriptionLimits = Object.freeze({
  subscriptionsPerTenant: 5000,
  subscriptionsPerSubject: 32,
  urisPerSubscription: 256,
  recheckMs: 2000,
});

interface Filter {
  readonly lists: ReadonlySet<(typeof LISTS)[number]>;
  readonly uris: ReadonlySet<string>;
}

interface Subscription {
  readonly answer: Answer;
  readonly inbound: Inbound;
  readonly owner: string;
  readonly filter: Filter;
  /** `"_meta":{…}` with the id in it, as every message has it. */
  readonly meta: string;
  readonly id: string;
}

/** What a client asks for; a rejection where it reads wrong. */
function filterOf({ envelope, id }: InboundCall, most: number): Filter | Rejection {
  const wrong = (reason: string): Rejection => reject('params_invalid', reason, id);
  const asked = objectAt(envelope.body, envelope.params?.get('notifications'));
  if (asked === undefined) return wrong('params.notifications is not an object');
  const lists = new Set<(typeof LISTS)[number]>();
  for (const list of LISTS) {
    const value = asked[list];
    if (value !== undefined && typeof value !== 'boolean') return wrong(`params.notifications.${list} is not a boolean`);
    if (value === true) lists.add(list);
  }
  const uris = asked['resourceSubscriptions'] ?? [];
  if (!Array.isArray(uris) || uris.length > most || !uris.every(isUri)) {
    return wrong(`params.notifications.resourceSubscriptions is not a list of at most ${most} URIs`);
  }
  return { lists, uris: new Set(uris) };
}

function isUri(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= URI_CHARACTERS;
}

export class Subscriptions {
  readonly #limits: SubscriptionLimits;
  readonly #mayRead: (inbound: Inbound, uri: string) => boolean;
  readonly #byTenant = new Map<string, Set<Subscription>>();
  readonly #ofOwner = new Map<string, number>();
  readonly #recheck: NodeJS.Timeout;

  /** `mayRead`: whether the caller has a resource of this URI. */
  constructor(limits: SubscriptionLimits, mayRead: (inbound: Inbound, uri: string) => boolean) {
    this.#limits = limits;
    this.#mayRead = mayRead;
    this.#recheck = setInterval(() => this.#endRefused(), limits.recheckMs);
    this.#recheck.unref();
  }

  /** A rejection where the stream was not opened. */
  open(call: InboundCall, inbound: Inbound, owner: string, answer: Answer): Rejection | undefined {
    const { id } = call;
    if (!answer.streams) return { kind: 'rejection', failure: failure('not_acceptable'), id };
    const asked = filterOf(call, this.#limits.urisPerSubscription);
    if ('kind' in asked) return asked;
    const { tenant } = inbound.principal;
    const ofTenant = this.#byTenant.get(tenant)?.size ?? 0;
    const ofOwner = this.#ofOwner.get(owner) ?? 0;
    if (ofTenant >= this.#limits.subscriptionsPerTenant || ofOwner >= this.#limits.subscriptionsPerSubject) {
      return {
        kind: 'rejection',
        failure: failure('concurrency_limit', { message: 'There is no room for another subscription.' }),
        id,
      };
    }
    const filter: Filter = { lists: asked.lists, uris: new Set([...asked.uris].filter((uri) => this.#mayRead(inbound, uri))) };
    const own = copied(id);
    const subscription: Subscription = { answer, inbound, owner, filter, id: own, meta: `"_meta":{"${SUBSCRIPTION_ID}":${own}}` };
    this.#add(subscription);
    answer.open();
    send(subscription, 'notifications/subscriptions/acknowledged', `"notifications":${honoured(filter)}`);
    answer.signal.addEventListener('abort', () => this.#remove(subscription), { once: true });
    if (answer.signal.aborted) this.#remove(subscription);
    return undefined;
  }

  onToolsetChanged(tenant: string): void {
    for (const subscription of this.#byTenant.get(tenant) ?? []) {
      if (subscription.filter.lists.size === 0) continue;
      this.#ifAllowed(subscription, () => {
        for (const list of subscription.filter.lists) send(subscription, LIST_METHODS[list], undefined);
      });
    }
  }

  onResourceUpdated(tenant: string, uri: string): void {
    for (const subscription of this.#byTenant.get(tenant) ?? []) {
      if (!subscription.filter.uris.has(uri)) continue;
      this.#ifAllowed(subscription, () => {
        if (this.#mayRead(subscription.inbound, uri)) {
          send(subscription, 'notifications/resources/updated', `"uri":${JSON.stringify(uri)}`);
        }
      });
    }
  }

  count(tenant: string): number {
    return this.#byTenant.get(tenant)?.size ?? 0;
  }

  /** A graceful end: every subscription gets its result. */
  close(): void {
    clearInterval(this.#recheck);
    for (const subscription of this.#all()) this.#end(subscription);
  }

  *#all(): Iterable<Subscription> {
    for (const subscriptions of this.#byTenant.values()) yield* subscriptions;
  }

  #endRefused(): void {
    for (const subscription of this.#all()) this.#ifAllowed(subscription, () => {});
  }

  /** Every message is a use of the credential that opened the stream. */
  #ifAllowed(subscription: Subscription, act: () => void): void {
    ifAllowed(subscription.inbound, act, () => this.#end(subscription));
  }

  #end(subscription: Subscription): void {
    this.#remove(subscription);
    const { answer, id, meta } = subscription;
    answer.send(200, text(`{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete",${meta}}}`));
  }

  #add(subscription: Subscription): void {
    const { tenant } = subscription.inbound.principal;
    const set = this.#byTenant.get(tenant) ?? new Set();
    this.#byTenant.set(tenant, set.add(subscription));
    this.#ofOwner.set(subscription.owner, (this.#ofOwner.get(subscription.owner) ?? 0) + 1);
  }

  #remove(subscription: Subscription): void {
    const { tenant } = subscription.inbound.principal;
    const set = this.#byTenant.get(tenant);
    if (set?.delete(subscription) !== true) return;
    if (set.size === 0) this.#byTenant.delete(tenant);
    const left = (this.#ofOwner.get(subscription.owner) ?? 1) - 1;
    if (left > 0) this.#ofOwner.set(subscription.owner, left);
    else this.#ofOwner.delete(subscription.owner);
  }
}

function send({ answer, meta }: Subscription, method: string, params: string | undefined): void {
  answer.notify(`{"jsonrpc":"2.0","method":"${method}","params":{${meta}${params === undefined ? '' : `,${params}`}}}`);
}

function honoured({ lists, uris }: Filter): string {
  const flags = Object.fromEntries([...lists].map((list) => [list, true]));
  return JSON.stringify(uris.size === 0 ? flags : { ...flags, resourceSubscriptions: [...uris] });
}
