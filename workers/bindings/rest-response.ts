// The answer of a REST service in, the result of a declared tool out. Pure.
// Not responsible for what all kinds of tools have in common (`answer`).
// Invariant: what is neither selected from nor checked goes through as it came.
import type { RestBinding } from '../../src/boundary/binding.ts';
import type { SchemaCheck } from '../schema-check.ts';
import {
  compileMapping,
  invalid,
  isHtml,
  type MappedResult,
  type MapResponse,
  parse,
  statusFailure,
  textOf,
  textResult,
  type UpstreamAnswer,
} from './answer.ts';

/** @throws Error where the `select` expression is not JMESPath. */
export function compileRestResponse(response: RestBinding['response'], checkOutput: SchemaCheck | undefined): MapResponse {
  const mapping = compileMapping(response, checkOutput);
  return (answer, objectsOnly = false) => {
    if (answer.status < 200 || answer.status > 299) return { ok: false, failure: statusFailure(answer) };
    if (isHtml(answer)) return invalid('HTML instead of JSON');
    if (mapping.isPlain) return plainResult(answer);
    const parsed = parse(answer.body);
    return parsed === undefined ? invalid('not JSON') : mapping.result(parsed.value, objectsOnly);
  };
}

/** The text goes through as it came, so that nothing is lost in it: numbers beyond 2^53 would be. */
function plainResult(answer: UpstreamAnswer): MappedResult {
  if (answer.body.byteLength === 0) return { ok: true, body: Buffer.from('{"content":[]}') };
  const isText = /^text\//i.test(answer.contentType ?? '');
  if (!isText && parse(answer.body) === undefined) return invalid('not JSON');
  return { ok: true, body: textResult(textOf(answer.body), '') };
}
