// One declared tool as two functions, whatever its kind: arguments to a request, and the answer to that request to a result.
// Not responsible for checking arguments or for sending.
// Invariant: an answer is read by what its own request was.
import type { LoadedBinding } from '../../src/boundary/binding.ts';
import type { JsonObject } from '../../src/shared/json.ts';
import type { Mismatch, SchemaCheck } from '../schema-check.ts';
import type { MapResponse } from './answer.ts';
import { compileGraphqlRequest, compileGraphqlResponse } from './graphql.ts';
import { compileJsonRpcRequest, compileJsonRpcResponse } from './jsonrpc.ts';
import { type BuildRequest, compileRestRequest, type HttpRequest } from './rest-request.ts';
import { compileRestResponse } from './rest-response.ts';

export type Execution = { readonly ok: true; readonly request: HttpRequest; readonly map: MapResponse } | Mismatch;
/** @param origin of the connection, without a trailing slash */
export type Executor = (args: JsonObject, origin: string) => Execution;

/** @throws Error where the binding is not usable: see `checkBinding`. */
export function compileExecutor(binding: LoadedBinding, checkOutput: SchemaCheck | undefined): Executor {
  switch (binding.kind) {
    case 'rest':
      return joined(compileRestRequest(binding), compileRestResponse(binding.response, checkOutput));
    case 'graphql':
      return joined(compileGraphqlRequest(binding), compileGraphqlResponse(binding, checkOutput));
    case 'jsonrpc': {
      const build = compileJsonRpcRequest(binding);
      const mapFor = compileJsonRpcResponse(binding, checkOutput);
      return (args, origin) => {
        const built = build(args, origin);
        return built.ok ? { ok: true, request: built.request, map: mapFor(built.id) } : built;
      };
    }
    default:
      return binding satisfies never;
  }
}

function joined(build: BuildRequest, map: MapResponse): Executor {
  return (args, origin) => {
    const built = build(args, origin);
    return built.ok ? { ...built, map } : built;
  };
}
