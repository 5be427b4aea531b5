// What a GraphQL document of a declared tool says of itself: its one operation and the variables of it.
// Not responsible for the types of the service's schema, which is not known here, or for whether variables are arguments (`binding-check`).
// Invariant: bounded in characters (manifest), tokens and depth; runs only while a toolset is loaded anew.
// Source: GraphQL specification, October 2021, sections 2 and 5.
import type { DocumentNode, OperationDefinitionNode } from 'graphql/language';
import type { GraphqlOperation } from '../../boundary/binding.ts';

export type ReadDocument =
  | { readonly ok: true; readonly operation: GraphqlOperation }
  | { readonly ok: false; readonly reason: string };
export type DocumentReader = (document: string) => ReadDocument;

/** A document of GitHub's longest examples has some 500. */
const TOKENS = 4000;

/** The parser takes 9 MB, so that it is loaded only where there is a document. */
export async function documentReader(): Promise<DocumentReader> {
  const { Kind, parse, visit } = await import('graphql/language');

  function read(text: string): ReadDocument {
    const document = parse(text, { maxTokens: TOKENS });
    const operations = document.definitions.filter((node) => node.kind === Kind.OPERATION_DEFINITION);
    const other = document.definitions.find(
      (node) => node.kind !== Kind.OPERATION_DEFINITION && node.kind !== Kind.FRAGMENT_DEFINITION,
    );
    if (other !== undefined) return refused('defines types; a tool has one query or mutation');
    const [operation] = operations;
    if (operation === undefined || operations.length > 1) return refused(`has ${operations.length} operations; a tool has one`);
    if (operation.operation === 'subscription') return refused('is a subscription; a tool has a query or a mutation');
    const fault = faultOf(document, operation);
    if (fault !== undefined) return refused(fault);
    const { name, variableDefinitions = [] } = operation;
    return {
      ok: true,
      operation: {
        type: operation.operation === 'mutation' ? 'mutation' : 'query',
        ...(name === undefined ? {} : { name: name.value }),
        variables: variableDefinitions.map(({ variable, type, defaultValue }) => ({
          name: variable.name.value,
          required: type.kind === Kind.NON_NULL_TYPE && defaultValue === undefined,
        })),
      },
    };
  }

  /** The rules of section 5 that need no schema: what stands for what. */
  function faultOf(document: DocumentNode, { variableDefinitions = [] }: OperationDefinitionNode): string | undefined {
    const declared = variableDefinitions.map(({ variable }) => variable.name.value);
    const fragments = document.definitions.flatMap((node) => (node.kind === Kind.FRAGMENT_DEFINITION ? [node.name.value] : []));
    const used = new Set<string>();
    const spread = new Set<string>();
    visit(document, {
      VariableDefinition: () => false,
      Variable: (node) => void used.add(node.name.value),
      FragmentSpread: (node) => void spread.add(node.name.value),
    });
    const twice = (names: readonly string[]) => names.find((name, at) => names.indexOf(name) !== at);
    const doubled = twice(declared);
    if (doubled !== undefined) return `declares the variable "$${doubled}" twice`;
    const undeclared = [...used].find((name) => !declared.includes(name));
    if (undeclared !== undefined) return `uses the variable "$${undeclared}", which it does not declare`;
    const unused = declared.find((name) => !used.has(name));
    if (unused !== undefined) return `declares the variable "$${unused}" and does not use it`;
    const again = twice(fragments);
    if (again !== undefined) return `has the fragment "${again}" twice`;
    const missing = [...spread].find((name) => !fragments.includes(name));
    if (missing !== undefined) return `uses the fragment "${missing}", which it does not have`;
    const idle = fragments.find((name) => !spread.has(name));
    return idle === undefined ? undefined : `has the fragment "${idle}" and does not use it`;
  }

  return (text) => {
    try {
      return read(text);
    } catch (error) {
      return refused(reasonOf(error));
    }
  };
}

/** A GraphQLError says where in the document; whatever is nested too deeply overflows the parser's stack. */
function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return 'is nested too deeply';
  const { message, locations } = error as { message?: unknown; locations?: readonly { line: number; column: number }[] };
  const [at] = locations ?? [];
  const where = at === undefined ? '' : ` (line ${at.line}, column ${at.column} of it)`;
  return `cannot be read: ${String(message).slice(0, 400)}${where}`;
}

function refused(reason: string): ReadDocument {
  return { ok: false, reason };
}
