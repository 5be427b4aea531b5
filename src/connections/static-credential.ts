// Credentials that do not change by themselves: API keys, basic, headers; from their connection and the vault.
// Not responsible for what a refusal of them means (`rejections`).
// Invariant: a value that cannot stand in a header is not sent in a changed form; failures name secrets, never values.
import type { ApiKeyConnection, BasicConnection, HeadersConnection, SecretRef } from '../config/compiled.ts';
import { type Failure, failure } from '../shared/errors.ts';
import { isHeaderValue } from '../shared/http-headers.ts';
import { SERVER_OWNER } from '../shared/ids.ts';
import type { SecretStore } from '../vault/stores.ts';
import type { Credential } from './lease.ts';

export type StaticConnection = ApiKeyConnection | BasicConnection | HeadersConnection;

export function staticCredential(connection: StaticConnection, secrets: Pick<SecretStore, 'get'>): Credential | Failure {
  const reader = new SecretReader(secrets);
  const parts = partsOf(connection, reader);
  const { missing } = reader;
  if (missing !== undefined) return missingSecret(connection.slot, missing);
  const wrong = Object.entries(parts.headers).find(([, value]) => !isHeaderValue(value));
  if (wrong !== undefined) {
    return failure('not_connected', {
      message: `The credential of the connection "${connection.slot}" cannot be sent in the header "${wrong[0]}". The operator must set it again.`,
    });
  }
  return { ...parts, version: reader.version };
}

export function missingSecret(slot: string, ref: SecretRef): Failure {
  return failure('not_connected', {
    message: `The connection "${slot}" has no credential yet. The operator sets it with: ${setCommand(ref)}`,
  });
}

/** What an operator types to set it. */
export function setCommand({ owner, secret }: SecretRef): string {
  return `leasehold secret set ${owner === SERVER_OWNER ? '--server' : owner} ${secret}`;
}

/** Reads secrets and remembers which versions they had, and which one is missing. */
class SecretReader {
  readonly #secrets: Pick<SecretStore, 'get'>;
  missing: SecretRef | undefined;
  version = '';

  constructor(secrets: Pick<SecretStore, 'get'>) {
    this.#secrets = secrets;
  }

  read(given: string | SecretRef): string {
    if (typeof given === 'string') return given;
    const found = this.#secrets.get(given.owner, given.secret);
    if (found === undefined) {
      this.missing ??= given;
      return '';
    }
    this.version = this.version === '' ? found.version : `${this.version} ${found.version}`;
    return found.value;
  }
}

function partsOf(connection: StaticConnection, reader: SecretReader): Pick<Credential, 'headers' | 'query'> {
  switch (connection.type) {
    case 'api_key': {
      const value = `${connection.prefix}${reader.read(connection.key)}`;
      return connection.in === 'query'
        ? { headers: {}, query: { [connection.name]: value } }
        : { headers: { [connection.name.toLowerCase()]: value } };
    }
    case 'basic': {
      // RFC 7617, with its charset "UTF-8".
      const pair = `${reader.read(connection.username)}:${reader.read(connection.password)}`;
      return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } };
    }
    case 'headers': {
      const headers: Record<string, string> = {};
      for (const [name, value] of Object.entries(connection.headers)) headers[name] = reader.read(value);
      return { headers };
    }
    default:
      return connection satisfies never;
  }
}
