// "leasehold": the tool author's API. Data in, data out; it runs the same in a tools thread, in a test and in an editor.
// Not responsible for serving anything; the server and its runtime are other entries of the package.
// Invariant: only what an author needs is exported, by name.
export { type Static, type TObject, type TSchema, Type } from 'typebox';
export {
  type ClientRoot,
  type Connection,
  type ConnectionRequest,
  type Elicited,
  getContext,
  type Log,
  type Need,
  type Needs,
  type Sampled,
  type SampleMessage,
  type SampleRequest,
  type Store,
  type ToolContext,
} from './author/context.ts';
export { LeaseholdError, ToolError, type ToolErrorOptions } from './author/errors.ts';
export type { Completion, Completions, Given } from './author/completion.ts';
export type { Binary, Content, ContentAnnotations, Icon } from './author/content.ts';
export { definePrompt, type Prompt, type PromptDefinition, type PromptMessage, type PromptReturned } from './author/prompt.ts';
export {
  defineResource,
  type FixedResource,
  type Resource,
  type ResourceFacts,
  type ResourcePart,
  type ResourceReturned,
  type TemplateResource,
  type UriParams,
} from './author/resource.ts';
export { type Bound, graphql, type GraphqlTool, jsonrpc, type JsonRpcTool, rest, type RestTool } from './author/declared-tool.ts';
export { type Returned, result, type ResultParts, type ToolResult } from './author/result.ts';
export {
  type Annotations,
  type CodeTool,
  type Common,
  defineTool,
  defineToolset,
  type Tool,
  type Toolset,
  type ToolsetDefinition,
} from './author/tool.ts';
export type { Json } from './shared/json.ts';
