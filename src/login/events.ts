// What happens at the authorization server, for the audit: who, for which tenant, through which client.
// Not responsible for writing. Invariant: a token is issued and a person signed in only where the record could be written; nothing that
// was typed is in a record.
import type { IncomingMessage } from 'node:http';
import { type AuditEvent, type AuditLog } from '../audit/record.ts';
import { SERVER_OWNER } from '../shared/ids.ts';

/** Of the HTTP request. */
export interface RequestFacts {
  readonly correlation: string;
  readonly address: string;
  /** Digest of the secret of its browser, where it brought one. */
  readonly browser?: string | undefined;
}

type Loose<E> = E extends AuditEvent
  ? Omit<E, 'issuer' | 'correlation' | 'id' | 'tenant'> & { readonly tenant?: string | undefined }
  : never;
type LoginEvent = Loose<Extract<AuditEvent, { kind: `login.${string}` }>>;

export class LoginEvents {
  readonly #audit: Pick<AuditLog, 'append'>;
  readonly #issuer: () => string;
  readonly #facts = new WeakMap<IncomingMessage, RequestFacts>();

  constructor(audit: Pick<AuditLog, 'append'>, issuer: () => string) {
    this.#audit = audit;
    this.#issuer = issuer;
  }

  know(request: IncomingMessage, facts: RequestFacts): void {
    this.#facts.set(request, facts);
  }

  factsOf(request: IncomingMessage): RequestFacts {
    return this.#facts.get(request) ?? { correlation: '', address: '' };
  }

  /** Rejects where it cannot be written: then nothing must happen. */
  append(request: IncomingMessage, event: LoginEvent): Promise<void> {
    const { correlation } = this.factsOf(request);
    const tenant = event.tenant ?? SERVER_OWNER;
    return this.#audit.append({ ...event, tenant, issuer: this.#issuer(), correlation, id: correlation } as AuditEvent);
  }
}
