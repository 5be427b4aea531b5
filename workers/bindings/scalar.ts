// The text of a scalar argument in a path, a query or a header.
// Not responsible for encoding it. Invariant: objects, arrays and null have none.

export function scalarText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'boolean':
      return String(value);
    default:
      return undefined;
  }
}
