// What a tool may ask of its client, and how a question is named.
// Not responsible for the frames that carry it (`host-request`): a host's main thread reads this file and no schema library.

export const ASK_KINDS = ['elicit', 'sample', 'roots'] as const;
export type AskKind = (typeof ASK_KINDS)[number];

/** Of a question, unique within its call: what the client's answer is found by. */
export const ASK_KEY_PATTERN = '^[A-Za-z0-9_.-]{1,128}$';

/** Parameters of a question, at most. */
export const ASK_BYTES = 65_536;
