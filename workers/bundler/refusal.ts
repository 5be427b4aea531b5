// Why an import is refused: a sentence that goes after the import's name, and what to do instead.
// Not responsible for where it stands in the sources (esbuild knows) or who imported whom (`trail`).
// Invariant: thrown and caught inside the bundler child only.

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly hint: string | undefined;
  constructor(reason: string, hint?: string) {
    super(reason);
    this.hint = hint;
  }
}
