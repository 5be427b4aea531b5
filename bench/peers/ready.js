// Prints the one line that the harness waits for, and ends with its parent's pipe.
export function ready(url) {
  process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`);
  process.stdin.resume().on('end', () => process.exit(0));
}

// The two tools every peer has, so that all of them do the same work: give back the text, or a text of `bytes` characters.
const fill = new Map();
export const tools = {
  echo: {
    description: 'Give back the text',
    inputSchema: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } },
    run: ({ text }) => text,
  },
  sized: {
    description: 'A text of the given size',
    inputSchema: {
      type: 'object',
      required: ['bytes'],
      properties: { bytes: { type: 'integer', minimum: 0, maximum: 8000000 } },
    },
    run: ({ bytes }) => {
      const known = fill.get(bytes) ?? 'x'.repeat(bytes);
      fill.set(bytes, known);
      return known;
    },
  },
};
