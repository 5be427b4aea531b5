// What `ctx.call` gives for the result of another tool: its data where it has some, else its text.
// Not responsible for failures: those arrive as errors, never as results.
// Invariant: total; a result without structured content and without text is its content as it is.
import type { Json } from '../../src/shared/json.ts';

interface PlainResult {
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: Json;
}

export function nestedValue(body: string): Json {
  const { structuredContent, content = [] } = JSON.parse(body) as PlainResult;
  if (structuredContent !== undefined) return structuredContent;
  if (content.length === 0) return null;
  if (content.every((block) => block.type === 'text')) return content.map((block) => block.text ?? '').join('\n');
  return content as unknown as Json;
}
