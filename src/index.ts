// "leasehold": the tool author's API. Data in, data out; it runs the same in a tools thread, in a test and in an editor.
// Not responsible for serving anything; the server and its runtime are other entries of the package.
// Invariant: only what an author needs is exported, by name.
export { type Static, type TObject, type TSchema, Type } from 'typebox';
export {
  type Connection,
  type ConnectionRequest,
  type Elicited,
  getContext,
  type Log,
  type Need,
  type Needs,
  type Store,
  type ToolContext,
} from './author/context.ts';
export { LeaseholdError, ToolError, type ToolErrorOptions } from './author/errors.ts';
export { type Content, type Returned, result, type ResultParts, type ToolResult } from './author/result.ts';
export {
  type Annotations,
  type Bound,
  type CodeTool,
  type Common,
  defineTool,
  defineToolset,
  rest,
  type RestTool,
  type Tool,
  type Toolset,
  type ToolsetDefinition,
} from './author/tool.ts';
export type { Json } from './shared/json.ts';
