// A compiled JSON Schema check that answers with the first problem: where (RFC 6901 pointer) and why.
// Not responsible for what the value is (arguments, a result, a mapped response) or for defaults.
// Invariant: never throws for a value; of the value itself only property names are quoted, never content.
import { Compile } from 'typebox/schema';

export type JsonSchema = object;

export interface Mismatch {
  readonly ok: false;
  /** RFC 6901; '' is the whole value. */
  readonly path: string;
  readonly reason: string;
}

/** Undefined where the value fits. */
export type SchemaCheck = (value: unknown) => Mismatch | undefined;

/** @throws Error where the schema cannot be compiled. */
export function createSchemaCheck(schema: JsonSchema): SchemaCheck {
  const validator = Compile(schema);
  return (value) => {
    try {
      return validator.Check(value) ? undefined : firstProblem(validator.Errors(value)[1]);
    } catch {
      // A reference that leads to itself, or a value nested deeper than the stack.
      return { ok: false, path: '', reason: 'is nested too deeply to be checked' };
    }
  };
}

interface Problem {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

const REASON_CHARACTERS = 400;

function firstProblem(problems: readonly Problem[]): Mismatch {
  const first = problems[0];
  if (first === undefined) return { ok: false, path: '', reason: 'does not fit the schema' };
  const group = problems.find((p) => isAlternative(p) && first.schemaPath.startsWith(`${p.schemaPath}/${p.keyword}/`));
  const { path, reason } = group === undefined ? describe(first) : describeAlternatives(group, problems);
  return { ok: false, path: path.slice(0, REASON_CHARACTERS), reason: reason.slice(0, REASON_CHARACTERS) };
}

function describe(problem: Problem): { path: string; reason: string } {
  const { keyword, params, instancePath: path } = problem;
  switch (keyword) {
    case 'required':
      return { path: below(path, params, 'requiredProperties'), reason: 'is required' };
    case 'additionalProperties':
      return { path: below(path, params, 'additionalProperties'), reason: 'is not allowed' };
    case 'unevaluatedProperties':
      return { path: below(path, params, 'unevaluatedProperties'), reason: 'is not allowed' };
    case 'boolean':
      return { path, reason: 'is not allowed' };
    case 'enum':
      return { path, reason: `must be one of ${list(params, 'allowedValues')}` };
    case 'const':
      return { path, reason: `must be ${JSON.stringify((params as { allowedValue?: unknown }).allowedValue)}` };
    default:
      return { path, reason: problem.message };
  }
}

function isAlternative(problem: Problem): boolean {
  return problem.keyword === 'anyOf' || problem.keyword === 'oneOf';
}

/** Where every alternative fails at the value itself, all of them are named; else the one that was followed furthest. */
function describeAlternatives(group: Problem, problems: readonly Problem[]): { path: string; reason: string } {
  const inner = problems.filter((p) => p.schemaPath.startsWith(`${group.schemaPath}/${group.keyword}/`));
  const deepest = inner.reduce((a, b) => (b.instancePath.length > a.instancePath.length ? b : a));
  if (deepest.instancePath.length > group.instancePath.length) return describe(deepest);
  const reasons = new Set(inner.map((problem) => describe(problem)).map(({ reason }) => reason));
  return { path: group.instancePath, reason: [...reasons].join(', or ') };
}

function below(path: string, params: object, name: string): string {
  const names: unknown = (params as Record<string, unknown>)[name];
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  return typeof first === 'string' ? `${path}/${first.replaceAll('~', '~0').replaceAll('/', '~1')}` : path;
}

function list(params: object, name: string): string {
  const values: unknown = (params as Record<string, unknown>)[name];
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : 'the allowed values';
}
