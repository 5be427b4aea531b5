// The audit record: its final shape, and the events that become one.
// Not responsible for writing (`log`), chaining (`chain`) or shipping. bunyan formats operational logs; this is not one.
// Invariant: names and sizes, never values; identifiers of credentials, never credentials.
import type { FailureClass, FailureCode } from '../shared/errors.ts';

export interface ArgumentShape {
  readonly name: string;
  readonly bytes: number;
}

/** Who and what an event is about; what does not apply is left out. */
export interface AuditSubject {
  readonly tenant: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly credential?: string;
  readonly client?: string;
  readonly correlation: string;
  readonly trace?: string;
  /** Id of this operation and of the one that caused it (nested calls, egress of a call). */
  readonly id: string;
  readonly parent?: string;
}

export type AuditEvent =
  | (AuditSubject & {
      readonly kind: 'call.request';
      readonly tool: string;
      readonly bundle: string;
      readonly args: readonly ArgumentShape[];
      readonly depth: number;
      /** Epoch milliseconds: of the call of the client, nested ones included. */
      readonly deadline?: number;
      /** Correlation of the request that ended with `input_required` and is gone on with here: what it did is not done again. */
      readonly resumes?: string;
    })
  | (AuditSubject & {
      readonly kind: 'call.outcome';
      readonly tool: string;
      readonly bundle: string;
      readonly durationMs: number;
      readonly outcome: 'ok' | 'input_required' | FailureClass;
      readonly code?: FailureCode;
      /** Exact reason, for the operator: never a value of an argument, never a secret. */
      readonly reason?: string;
      readonly resultBytes?: number;
    })
  | (AuditSubject & {
      readonly kind: 'prompt.request' | 'resource.request' | 'completion.request';
      /** Key in the toolset, never a URI that a client named. */
      readonly name: string;
      readonly bundle: string;
      readonly args: readonly ArgumentShape[];
      readonly depth: number;
      /** Epoch milliseconds: of the call of the client, nested ones included. */
      readonly deadline?: number;
      /** Correlation of the request that ended with `input_required` and is gone on with here: what it did is not done again. */
      readonly resumes?: string;
    })
  | (AuditSubject & {
      readonly kind: 'prompt.outcome' | 'resource.outcome' | 'completion.outcome';
      readonly name: string;
      readonly bundle: string;
      readonly durationMs: number;
      readonly outcome: 'ok' | 'input_required' | FailureClass;
      readonly code?: FailureCode;
      readonly reason?: string;
      readonly resultBytes?: number;
    })
  /** Calls that were not begun: `count` of them, of one caller for one reason, within a second; `correlation` of the first. */
  | (AuditSubject & {
      readonly kind: 'call.refused';
      readonly tool: string;
      readonly code: FailureCode;
      readonly limit?: string;
      readonly count: number;
    })
  | (AuditSubject & {
      readonly kind: 'egress.request';
      readonly connection: string;
      readonly method: string;
      readonly origin: string;
      readonly attempt: number;
      readonly lease?: string;
    })
  | (AuditSubject & {
      readonly kind: 'egress.outcome';
      readonly connection: string;
      readonly status?: number;
      readonly outcome: string;
      readonly durationMs: number;
    })
  | (AuditSubject & {
      readonly kind: 'auth.denied';
      readonly code: FailureCode;
      readonly reason: string;
      readonly address: string;
      /** In a flood: so many of this kind, of which this was the first. */
      readonly count?: number;
    })
  | (AuditSubject & { readonly kind: 'token.created' | 'token.revoked'; readonly token: string })
  | (AuditSubject & { readonly kind: 'secret.set' | 'secret.deleted'; readonly secret: string })
  /** `refresh`, `revoke`: before the request to the authorization server; `refreshed`, `revoked`: what became of it. */
  | (AuditSubject & {
      readonly kind: 'grant.connected' | 'grant.refresh' | 'grant.refreshed' | 'grant.revoke' | 'grant.revoked';
      readonly connection: string;
      readonly grant: string;
      /** Of the link through which it was connected. */
      readonly flow?: string;
      readonly outcome?: 'ok' | 'refused' | 'lost';
      readonly reason?: string;
    })
  /** A person on the way to connect an account: `flow` is the public id of the link. */
  | (AuditSubject & {
      readonly kind: 'connect.link';
      readonly connection: string;
      readonly flow: string;
      readonly scopes: readonly string[];
    })
  | (AuditSubject & {
      readonly kind: 'connect.opened' | 'connect.confirmed' | 'connect.denied' | 'connect.failed';
      readonly connection: string;
      readonly flow: string;
      readonly reason?: string;
    })
  | (AuditSubject & {
      readonly kind: 'credential.rejected';
      readonly connection: string;
      readonly failures: number;
      readonly grant?: string;
    })
  /** A person who signs in here, changed by the operator; the tenant is that of the membership. */
  | (AuditSubject & { readonly kind: 'user.added' | 'user.password' | 'user.removed' })
  | (AuditSubject & { readonly kind: 'member.granted' | 'member.revoked'; readonly scopes: readonly string[] })
  /** By the operator: an application that clients of the embedded authorization server are, and what a person allowed it in a tenant. */
  | (AuditSubject & { readonly kind: 'client.removed'; readonly application: string })
  | (AuditSubject & { readonly kind: 'consent.revoked'; readonly application: string; readonly scopes: readonly string[] })
  /** A person at the pages of the embedded authorization server. A name that does not exist is left out: it may be a password. */
  | (AuditSubject & {
      readonly kind: 'login.signed_in' | 'login.failed' | 'login.signed_out' | 'login.denied';
      readonly address: string;
      /** Name of the one that vouches for the person, or does not; left out: an account of the server. */
      readonly provider?: string;
      readonly reason?: string;
    })
  | (AuditSubject & {
      readonly kind: 'login.consented' | 'login.issued' | 'login.refreshed';
      readonly scopes: readonly string[];
    })
  /** `reused`: a code or a refresh token came a second time, so all that came of it was ended. */
  | (AuditSubject & { readonly kind: 'login.registered' | 'login.reused' | 'login.revoked' })
  | (AuditSubject & {
      readonly kind: 'store.write';
      readonly scope: 'tenant' | 'subject';
      readonly action: 'set' | 'delete';
      readonly bytes: number;
    })
  | (AuditSubject & { readonly kind: 'vault.rotated' | 'tenant.added' })
  /** `kept`: its files were moved aside. What came before stays in the trail. */
  | (AuditSubject & { readonly kind: 'tenant.removed'; readonly files: 'deleted' | 'kept' | 'none' })
  | (AuditSubject & { readonly kind: 'toolset.changed'; readonly bundle: string; readonly tools: number })
  | (AuditSubject & { readonly kind: 'pool.lost'; readonly bundle: string; readonly reason: string })
  /** It had work in a host that died, or a thread that cannot be ended, and is served by hosts of its own until `until` (RFC 3339). */
  | (AuditSubject & { readonly kind: 'tenant.separated'; readonly deaths: number; readonly until: string })
  | (AuditSubject & { readonly kind: 'tenant.returned' })
  /** Written first after a time without records: how many were refused, and why. */
  | (AuditSubject & { readonly kind: 'audit.gap'; readonly lost: number; readonly reason: string });

/** The `tenant` of events that belong to no tenant that exists (no tenant id has an underscore). */
export const NO_TENANT = '_server';

/** What every record has around its event. */
export interface AuditEnvelope {
  readonly v: 1;
  /** Rises by one per tenant file. */
  readonly seq: number;
  /** SHA-256 (hex) of the previous line of the same file, or 64 zeros. */
  readonly prev: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly supervisor: string;
}

export interface AuditLog {
  /** Resolves when the record is durable as the mode says. Rejects (`audit_unavailable`) when it cannot be: then do not act. */
  append(event: AuditEvent): Promise<void>;
  /** Whether a record could be written now. */
  healthy(): boolean;
  close(): Promise<void>;
}
