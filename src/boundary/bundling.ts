// What crosses between the supervisor and its bundler child: one order, one answer, one at a time.
// Not responsible for what may be read: the child's fence and Node's permission model decide that, each alone.
// Invariant: the child is handed folders, never contents; its answer is untrusted input (it parsed the tenant's files).
// On the wire: order = one JSON line on stdin; answer = 4 bytes (big endian) length, header JSON, script bytes, map bytes.
import { type Static, Type } from 'typebox';
import { BUNDLING_LIMITS } from '../shared/bundling-limits.ts';

/** All folders absolute and real. */
export interface BundleOrder {
  /** For display only: paths in problems are relative to it. */
  readonly estate: string;
  readonly tenant: string;
  readonly shared: string | undefined;
  /** `node_modules` folders in which packages are looked up. */
  readonly libraries: readonly string[];
  /** `node`: built-ins and packages stay outside of the bundle and are looked up when it runs. */
  readonly runtime: 'sandbox' | 'node';
  /** Toolset files, relative to the tenant's folder. */
  readonly entries: readonly string[];
}

const Path = Type.String({ minLength: 1, maxLength: 4096 });

/** A file that the bundle depends on, as it was when it was read. */
export const BundleInputSchema = Type.Object(
  {
    path: Path,
    size: Type.Number({ minimum: 0 }),
    mtimeMs: Type.Number(),
    ctimeMs: Type.Number(),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { additionalProperties: false },
);
export type BundleInput = Static<typeof BundleInputSchema>;

const ProblemSchema = Type.Object(
  {
    file: Path,
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
    reason: Type.String({ maxLength: 4096 }),
    hint: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  { additionalProperties: false },
);

export const BundleAnswerSchema = Type.Union([
  Type.Object(
    {
      ok: Type.Literal(true),
      scriptBytes: Type.Integer({ minimum: 0, maximum: BUNDLING_LIMITS.scriptBytes }),
      mapBytes: Type.Integer({ minimum: 0, maximum: BUNDLING_LIMITS.mapBytes }),
      inputs: Type.Array(BundleInputSchema, { maxItems: 2 * BUNDLING_LIMITS.files }),
      /** Paths that were tried and were not there: appearing, they would change the bundle. */
      absent: Type.Array(Path, { maxItems: 4 * BUNDLING_LIMITS.files }),
    },
    { additionalProperties: false },
  ),
  Type.Object(
    { ok: Type.Literal(false), problems: Type.Array(ProblemSchema, { minItems: 1, maxItems: BUNDLING_LIMITS.problems }) },
    { additionalProperties: false },
  ),
]);
export type BundleAnswer = Static<typeof BundleAnswerSchema>;
