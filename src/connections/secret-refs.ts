// Which secrets of the vault a connection uses.
// Not responsible for reading them (`lease`). Invariant: pure; names only.
import type { CompiledConnection, SecretRef } from '../config/compiled.ts';

export function secretRefs(connection: CompiledConnection): readonly SecretRef[] {
  switch (connection.type) {
    case 'none':
      return [];
    case 'api_key':
      return [connection.key];
    case 'basic':
      return [connection.username, connection.password].filter((part) => typeof part !== 'string');
    case 'headers':
      return Object.values(connection.headers).filter((part) => typeof part !== 'string');
    case 'oauth2':
      return connection.oauth.clientSecret === undefined ? [] : [connection.oauth.clientSecret];
    default:
      return connection satisfies never;
  }
}
