// Tools that ask the client: its user, its model, its folders.
import { defineTool, defineToolset, ToolError, Type } from 'leasehold';

const Name = Type.Object({ name: Type.String() });
const Ok = Type.Object({ ok: Type.Boolean() });
const question = (text: string, maxTokens: number) => ({
  messages: [{ role: 'user' as const, content: { type: 'text', text } }],
  maxTokens,
});
const textOf = (content: unknown) => (content as { text?: string } | undefined)?.text ?? 'no response';
const told = (answer: { action: string; content?: unknown }) =>
  `action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`;

const test_sampling = defineTool({
  description: 'Asks the model of the client',
  inputSchema: Type.Object({ prompt: Type.String({ description: 'The prompt to send to the model' }) }),
  handler: async ({ prompt }, ctx) => `LLM response: ${textOf((await ctx.sample('answer', question(prompt, 100))).content)}`,
});
const test_elicitation = defineTool({
  description: 'Asks the user',
  inputSchema: Type.Object({ message: Type.String({ description: 'The message to show the user' }) }),
  async handler({ message }, ctx) {
    const schema = Type.Object({
      username: Type.String({ description: "User's response" }),
      email: Type.String({ description: "User's email address" }),
    });
    return `User response: ${told(await ctx.elicit('response', { message, schema }))}`;
  },
});
const test_elicitation_sep1034_defaults = defineTool({
  description: 'Asks the user with a form whose fields have defaults',
  async handler(_args, ctx) {
    const schema = Type.Object({
      name: Type.Optional(Type.String({ description: 'User name', default: 'John Doe' })),
      age: Type.Optional(Type.Integer({ description: 'User age', default: 30 })),
      score: Type.Optional(Type.Number({ description: 'User score', default: 95.5 })),
      status: Type.Optional(
        Type.Unsafe<string>({
          type: 'string',
          description: 'User status',
          enum: ['active', 'inactive', 'pending'],
          default: 'active',
        }),
      ),
      verified: Type.Optional(Type.Boolean({ description: 'Verification status', default: true })),
    });
    const message = 'Please review and update the form fields with defaults';
    return `Elicitation completed: ${told(await ctx.elicit('form', { message, schema }))}`;
  },
});
const test_elicitation_sep1330_enums = defineTool({
  description: 'Asks the user with a form of choices',
  async handler(_args, ctx) {
    const options = ['option1', 'option2', 'option3'];
    const titled = (titles: readonly (readonly [string, string])[]) => titles.map(([value, title]) => ({ const: value, title }));
    const schema = Type.Object({
      untitledSingle: Type.Optional(Type.Unsafe<string>({ type: 'string', description: 'Select one option', enum: options })),
      titledSingle: Type.Optional(
        Type.Unsafe<string>({
          type: 'string',
          description: 'Select one option with titles',
          oneOf: titled([
            ['value1', 'First Option'],
            ['value2', 'Second Option'],
            ['value3', 'Third Option'],
          ]),
        }),
      ),
      legacyEnum: Type.Optional(
        Type.Unsafe<string>({
          type: 'string',
          description: 'Select one option (legacy)',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        }),
      ),
      untitledMulti: Type.Optional(
        Type.Unsafe<string[]>({
          type: 'array',
          description: 'Select multiple options',
          minItems: 1,
          maxItems: 3,
          items: { type: 'string', enum: options },
        }),
      ),
      titledMulti: Type.Optional(
        Type.Unsafe<string[]>({
          type: 'array',
          description: 'Select multiple options with titles',
          minItems: 1,
          maxItems: 3,
          items: {
            anyOf: titled([
              ['value1', 'First Choice'],
              ['value2', 'Second Choice'],
              ['value3', 'Third Choice'],
            ]),
          },
        }),
      ),
    });
    return `Elicitation completed: ${told(await ctx.elicit('form', { message: 'Please select options from the enum fields', schema }))}`;
  },
});

const test_missing_capability = defineTool({
  description: 'Needs a model behind the client',
  handler: async (_args, ctx) => textOf((await ctx.sample('answer', question('Anything', 10))).content),
});
const test_streaming_elicitation = defineTool({
  description: 'Tells its progress, then asks the user',
  async handler(_args, ctx) {
    ctx.progress({ progress: 50, total: 100 });
    return told(await ctx.elicit('confirm', { message: 'Go on?', schema: Ok }));
  },
});

const test_input_required_result_elicitation = defineTool({
  description: 'Asks for a name',
  async handler(_args, ctx) {
    const answer = await ctx.elicit('user_name', { message: 'What is your name?', schema: Name });
    return answer.action === 'accept' ? `Hello, ${answer.content.name}!` : 'Hello!';
  },
});
const test_input_required_result_sampling = defineTool({
  description: 'Asks the model for a capital',
  handler: async (_args, ctx) =>
    `Sampling result: ${textOf((await ctx.sample('sample_request', question('What is the capital of France?', 100))).content)}`,
});
const test_input_required_result_list_roots = defineTool({
  description: 'Asks for the folders of the client',
  handler: async (_args, ctx) => `Found ${(await ctx.roots('roots_request')).length} root(s)`,
});
const confirming = (done: string) =>
  defineTool({
    description: 'Asks for a confirmation',
    async handler(_args, ctx) {
      const answer = await ctx.elicit('confirm', { message: 'Please confirm', schema: Ok });
      if (answer.action !== 'accept' || !answer.content.ok) throw new ToolError('It was not confirmed');
      return done;
    },
  });
const test_input_required_result_request_state = confirming('state-ok: requestState validated');
const test_input_required_result_tampered_state = confirming('integrity-ok: state verified');
const test_input_required_result_multiple_inputs = defineTool({
  description: 'Asks the user, the model and for the folders at once',
  async handler(_args, ctx) {
    const [name, greeting, roots] = await Promise.all([
      ctx.elicit('user_name', { message: 'What is your name?', schema: Name }),
      ctx.sample('greeting', question('Generate a greeting', 50)),
      ctx.roots('client_roots'),
    ]);
    return `Name: ${told(name)}; Greeting: ${textOf(greeting.content)}; Roots: ${roots.length}`;
  },
});
const test_input_required_result_multi_round = defineTool({
  description: 'Asks twice, one after the other',
  async handler(_args, ctx) {
    const name = await ctx.elicit('step1', { message: 'Step 1: What is your name?', schema: Name });
    const Color = Type.Object({ color: Type.String() });
    const color = await ctx.elicit('step2', { message: 'Step 2: What is your favorite color?', schema: Color });
    return `Multi-round complete: ${told(name)}; ${told(color)}`;
  },
});
const test_input_required_result_capabilities = defineTool({
  description: 'Asks whoever the client can ask',
  async handler(_args, ctx) {
    const schema = Type.Object({ value: Type.String() });
    const asked = await Promise.allSettled([
      ctx.elicit('elicit_input', { message: 'Elicitation input', schema }),
      ctx.sample('sample_input', question('Sample request', 50)),
    ]);
    return `capabilities-ok: ${asked.filter(({ status }) => status === 'fulfilled').length} answers`;
  },
});

export default defineToolset({
  tools: {
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_missing_capability,
    test_streaming_elicitation,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_tampered_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_capabilities,
  },
});
