// Why a message did not get through, in words for the user of a desktop client.
// Not responsible for finding it out. Invariant: the text says what to do, and holds no token.

/** `token`: refused; `away`: nothing answers; `lost`: the server may have acted on it; `odd`: not an answer of an MCP server. */
export type TroubleKind = 'token' | 'away' | 'lost' | 'odd' | 'place';

export class Trouble extends Error {
  override readonly name = 'Trouble';
  readonly kind: TroubleKind;
  constructor(kind: TroubleKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export function lost(): Trouble {
  return new Trouble(
    'lost',
    'The connection to the server broke before it had answered; the call may still have been carried out.',
  );
}
