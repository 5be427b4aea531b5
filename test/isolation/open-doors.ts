// The doors of test/fixtures/tools/doors.cjs that a language wall cannot close or need not. docs/isolation.md lists the same.
// Not responsible for knocking. Invariant: a door is added here only with a reason in that page.

export const OPEN_ON_PURPOSE: readonly string[] = [
  'code from text',
  'own prototypes',
  'high-resolution clock',
  'memory outside the heap',
];
