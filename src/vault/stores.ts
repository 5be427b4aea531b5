// The small interfaces behind which all state lives, so that a shared database can take the place of node:sqlite.
// Not responsible for sealing or files.
// Invariant: every record is keyed by tenant first; nothing can be read without naming its tenant (tokens: their hash).

export interface TokenRecord {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  /** Empty: all scopes of the tenant. */
  readonly scopes: readonly string[];
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly revokedAt: number | undefined;
  /** Not good from then on; undefined: it does not end by itself. */
  readonly expiresAt?: number | undefined;
  /** Of the last request with it, up to a minute behind. */
  readonly lastUsedAt?: number | undefined;
}

export interface TokenStore {
  /** Stores the SHA-256 (hex) of the secret only. */
  add(record: TokenRecord, secretHash: string): void;
  /** By SHA-256 (hex) of the presented secret. Revoked ones are returned with `revokedAt`, so that the audit can say why. */
  find(secretHash: string): TokenRecord | undefined;
  /** Notes a use of what `find` gave: cheap, written later with the uses of other tokens. */
  used(record: TokenRecord, now: number): void;
  list(tenant: string): TokenRecord[];
  revoke(tenant: string, id: string, now: number): boolean;
}

/** The rows behind `ctx.store`. Values are sealed. `subject` undefined: the tenant's own. */
export interface ValueStore {
  get(tenant: string, subject: string | undefined, key: string, now: number): Uint8Array | undefined;
  /** False where the quota (bytes of all values of the tenant) would be exceeded. */
  set(
    tenant: string,
    subject: string | undefined,
    key: string,
    value: Uint8Array,
    expiresAt: number | undefined,
    quotaBytes: number,
  ): boolean;
  delete(tenant: string, subject: string | undefined, key: string): void;
}

/** What a tenant has used in a day. */
export interface DayUsage {
  readonly calls: number;
  /** Microseconds. */
  readonly cpuUs: number;
  readonly egressBytes: number;
}
export interface UsageStore {
  /** `day`: YYYY-MM-DD, UTC. */
  of(tenant: string, day: string): DayUsage;
  /** Adds to what is stored. Throws where it cannot be written now. */
  add(day: string, used: ReadonlyMap<string, DayUsage>): void;
}

/** A secret that an operator set: an API key, a password, a client secret. `owner`: a tenant, or `SERVER_OWNER`. */
export interface StoredSecret {
  readonly value: string;
  /** Another one each time that the secret is set; says nothing about the value. */
  readonly version: string;
}
export interface SecretInfo {
  readonly name: string;
  readonly version: string;
  /** Epoch milliseconds. */
  readonly updatedAt: number;
}
export interface SecretStore {
  /** What another process set counts within STALE_MS. */
  get(owner: string, name: string): StoredSecret | undefined;
  set(owner: string, name: string, value: string, now: number): void;
  delete(owner: string, name: string): boolean;
  /** By name; never values. */
  list(owner: string): SecretInfo[];
}

/** Whose grant: of one subject, or (undefined) of the tenant itself. */
export interface GrantOwner {
  readonly issuer: string;
  readonly subject: string;
}
export interface GrantKey {
  readonly tenant: string;
  /** Name of the connection in tenant.json. */
  readonly slot: string;
  readonly owner: GrantOwner | undefined;
}

/** What an authorization server gave us for one account. Sealed as a whole. */
export interface Grant {
  /** Public id, for the audit; the same over all refreshes. */
  readonly id: string;
  /** Counts the access tokens of the grant, from 1. */
  readonly serial: number;
  /** The authorization server and client that it is good for (`grantBinding`): with another one it is not used. */
  readonly binding: string;
  /** `reauthorize`: the server ended it, or it cannot be refreshed; its owner must connect again. */
  readonly state: 'active' | 'reauthorize';
  /** Why, where it is not active: an OAuth error code or words of ours; never a secret. */
  readonly reason?: string;
  /** Scopes asked for, and those granted (what was asked where the server does not say). */
  readonly requested: readonly string[];
  readonly scopes: readonly string[];
  readonly accessToken: string;
  /** Epoch milliseconds; absent where the server does not say. */
  readonly expiresAt?: number;
  readonly refreshToken?: string;
  /** Account at the service as a person knows it, where it was told. */
  readonly account?: string;
  /** Write-ahead: a request that spends the refresh token began then, and its answer has not been stored. */
  readonly refreshBegan?: number;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  readonly refreshedAt: number;
}
export interface StoredGrant extends Grant {
  /** Another one after each write: what `replace` compares. */
  readonly version: string;
}

export interface GrantStore {
  /** Cached: what another process wrote counts within STALE_MS. The same object until it changes. */
  find(key: GrantKey): StoredGrant | undefined;
  /** Past the cache. */
  read(key: GrantKey): StoredGrant | undefined;
  /** Durable when it returns. Whatever was there is replaced: for a new authorization. */
  put(key: GrantKey, grant: Grant): StoredGrant;
  /** Durable when it returns. Undefined, and nothing written, where the stored version is not `version` any more. */
  replace(key: GrantKey, grant: Grant, version: string): StoredGrant | undefined;
  delete(key: GrantKey): boolean;
  /** Of one tenant, oldest first. */
  list(tenant: string): { readonly key: GrantKey; readonly grant: StoredGrant }[];
}

/** One refresher per grant over all processes: a row that expires by itself. */
export interface RefreshLocks {
  /** A fencing number that rises with each taking; undefined while another one holds it, or the database is busy. */
  take(key: GrantKey, holder: string, now: number, ttlMs: number): number | undefined;
  /** Only what was taken with this number. */
  release(key: GrantKey, holder: string, fence: number): void;
}

/** That an upstream refused a credential: how often in a row, and until when it is not sent again. */
export interface Rejection {
  /** Which credential: its versions. Another one is not rejected. */
  readonly credential: string;
  readonly failures: number;
  /** Epoch milliseconds. */
  readonly until: number;
  readonly at: number;
}
export interface RejectionStore {
  /** Cached: what another process wrote counts within STALE_MS. */
  find(key: GrantKey): Rejection | undefined;
  set(key: GrantKey, rejection: Rejection): void;
  clear(key: GrantKey): void;
  list(tenant: string): { readonly slot: string; readonly rejection: Rejection }[];
}

/** A person on the way to connect an account: from the link that a call was answered with to the answer of the service. Sealed as a whole. */
export interface ConnectFlow {
  /** Public id, for the audit and for clients; it opens nothing. */
  readonly id: string;
  /** What its link ends with. Whoever knows it may look at the page, no more. */
  readonly link: string;
  readonly key: GrantKey;
  /** As `Grant.binding`: for another authorization server or client it is not gone on with. */
  readonly binding: string;
  readonly scopes: readonly string[];
  /** Who asked: the one person who may go on. `correlation` names the call. */
  readonly asker: GrantOwner & { readonly credential?: string; readonly client?: string; readonly correlation: string };
  /** What the asker's client shows, and what is typed on the page. */
  readonly code: string;
  /** Wrong codes that are still allowed. */
  readonly guesses: number;
  /** Set when the asker has confirmed and was sent to the service. */
  readonly sent?: {
    /** Digest of the browser's secret. */
    readonly browser: string;
    readonly state: string;
    /** PKCE. */
    readonly verifier: string;
  };
  /** The browser came back: nobody goes on with it any more, but what comes of it is not settled yet. */
  readonly answered?: true;
}
export interface StoredFlow {
  readonly flow: ConnectFlow;
  /** Another one after each write. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}
export interface FlowStore {
  /** The open one for the same key, asker and scopes. */
  same(flow: Pick<ConnectFlow, 'key' | 'asker' | 'scopes'>, now: number): StoredFlow | undefined;
  /** Durable when it returns. One for the same key, asker and scopes is replaced, and what has expired is removed. */
  put(flow: ConnectFlow, expiresAt: number, now: number): void;
  byLink(link: string, now: number): StoredFlow | undefined;
  /** By `sent.state`. */
  byState(state: string, now: number): StoredFlow | undefined;
  /** False, and nothing written, where the stored version is not `version` any more. */
  replace(flow: ConnectFlow, version: string, expiresAt: number): boolean;
  /** False where somebody else was faster: a flow is ended once. */
  end(flow: ConnectFlow, version: string): boolean;
}

/** A person who signs in here. */
export interface UserRecord {
  /** Also the subject of access tokens. */
  readonly name: string;
  /** What a password is compared with (`login/passwords`). */
  readonly password: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly changedAt: number;
}
export interface UserStore {
  find(name: string): UserRecord | undefined;
  /** False where there is one of this name. */
  add(name: string, password: string, now: number): boolean;
  /** False where there is none. Ends what is signed in by the old one. */
  setPassword(name: string, password: string, now: number): boolean;
  /** With memberships, sessions and grants. */
  remove(name: string): boolean;
  /** By name; no passwords. */
  list(): Omit<UserRecord, 'password'>[];
}

/** That a subject who signs in here may use a tenant. */
export interface Membership {
  readonly tenant: string;
  readonly subject: string;
  /** At most these; empty: all scopes of the tenant. */
  readonly scopes: readonly string[];
  /** Epoch milliseconds. A token from before is not good. */
  readonly since: number;
}
export interface MembershipStore {
  /** Cached: what another process wrote counts within STALE_MS. The same object until something changes. */
  find(tenant: string, subject: string): Membership | undefined;
  /** Replaces the scopes of one that is there. */
  grant(tenant: string, subject: string, scopes: readonly string[], now: number): void;
  revoke(tenant: string, subject: string): boolean;
  of(subject: string): Membership[];
  list(tenant: string): Membership[];
  /** All that are a member of anything, sorted. */
  subjects(): string[];
}

/** What the authorization server keeps: sessions, codes, refresh tokens, clients, keys. Sealed as a whole, found by a hidden name. */
export interface LoginEntry {
  readonly value: { readonly [member: string]: unknown };
  /** Epoch milliseconds: when it was used up. */
  readonly spentAt: number | undefined;
  readonly expiresAt: number;
}
export interface LoginNames {
  /** A second name. */
  readonly alias?: string | undefined;
  /** What ends together. */
  readonly family?: string | undefined;
  /** Whose it is. */
  readonly account?: string | undefined;
}
export interface LoginStore {
  find(kind: string, id: string, now: number): LoginEntry | undefined;
  /** Whether it is there, from a cache: what another process ends counts within STALE_MS. */
  alive(kind: string, id: string, now: number): boolean;
  byAlias(kind: string, alias: string, now: number): LoginEntry | undefined;
  /** All of one kind, those first that end first. */
  list(kind: string, now: number): LoginEntry[];
  /** Durable when it returns. Whatever was there is replaced. `most`: of the kind; beyond, those that end first are dropped. */
  put(kind: string, id: string, entry: Pick<LoginEntry, 'value' | 'expiresAt'>, names: LoginNames, most: number): void;
  /** False where it was used up before, or is not there. */
  spend(kind: string, id: string, now: number): boolean;
  /** Moves its end. */
  extend(kind: string, id: string, expiresAt: number): void;
  delete(kind: string, id: string): void;
  deleteFamily(family: string): void;
  deleteAccount(account: string): void;
}

/** Seals what a client carries between two requests. Needs no row: the client has the only copy. */
export interface StateSeal {
  /** `path` is what it is bound to besides the tenant. */
  seal(tenant: string, path: readonly string[], plain: Uint8Array): Uint8Array;
  /** Undefined where it was changed, or sealed for another place or with another key. */
  open(tenant: string, path: readonly string[], sealed: Uint8Array): Uint8Array | undefined;
}
