// Finds what looks like a secret in `vars`: a tripwire for an honest mistake, no scanner.
// Not responsible for refusing (the caller does). Invariant: reports where, never what.

const NAMES = /(?:secret|passw(?:or)?d|token|api[-_]?key|private[-_]?key|access[-_]?key|credential|bearer)/i;
/** Shapes of well-known keys: GitHub, GitLab, Slack, AWS, Google, OpenAI and Stripe, JWT, PEM, our own. */
const SHAPES =
  /^(?:gh[opsur]_|github_pat_|glpat-|xox[abeprs]-|AKIA[0-9A-Z]{12}|AIza[\w-]{30}|sk-[\w-]{16}|[rs]k_(?:live|test)_|eyJ[\w-]{10,}\.[\w-]+\.|-----BEGIN [A-Z ]*PRIVATE KEY|lh_[a-z0-9-]+_)/;

/** JSON pointers, below `base`, of values that look like secrets. */
export function secretsIn(vars: { readonly [name: string]: unknown }, base: string): string[] {
  const found: string[] = [];
  const walk = (value: unknown, name: string, pointer: string): void => {
    if (typeof value === 'string') {
      if (SHAPES.test(value) || (NAMES.test(name) && value.length >= 8)) found.push(pointer);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, part] of Object.entries(value))
        walk(part, key, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    }
  };
  walk(vars, '', base);
  return found;
}
