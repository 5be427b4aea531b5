// Deep-freezes plain data. Maps and sets in it are left to their read-only types. Not responsible for cycles: config has none.

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
