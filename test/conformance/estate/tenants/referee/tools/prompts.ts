// Prompts of every kind, as the referee asks for them.
import { definePrompt, defineToolset, Type } from 'leasehold';

const RED_PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

const test_simple_prompt = definePrompt({
  title: 'Simple test prompt',
  description: 'Has no arguments',
  handler: () => 'This is a simple prompt for testing.',
});
const test_prompt_with_arguments = definePrompt({
  title: 'Prompt with arguments',
  description: 'Has two arguments that it needs',
  argsSchema: Type.Object({
    arg1: Type.String({ description: 'First test argument' }),
    arg2: Type.String({ description: 'Second test argument' }),
  }),
  complete: { arg1: ['paris', 'park', 'party'] },
  handler: ({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
});
const test_prompt_with_embedded_resource = definePrompt({
  title: 'Prompt with an embedded resource',
  description: 'Embeds the resource that it is told',
  argsSchema: Type.Object({ resourceUri: Type.String({ description: 'URI of the resource to embed' }) }),
  handler: ({ resourceUri }) => [
    {
      role: 'user',
      content: {
        type: 'resource',
        resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
      },
    },
    { role: 'user', content: 'Please process the embedded resource above.' },
  ],
});
const test_prompt_with_image = definePrompt({
  title: 'Prompt with an image',
  description: 'Shows an image',
  handler: () => [
    { role: 'user', content: { type: 'image', data: RED_PIXEL, mimeType: 'image/png' } },
    { role: 'user', content: 'Please analyze the image above.' },
  ],
});
const test_input_required_result_prompt = definePrompt({
  description: 'Asks the user for its context',
  async handler(_args, ctx) {
    const schema = Type.Object({ context: Type.String() });
    const answer = await ctx.elicit('user_context', { message: 'What context should the prompt use?', schema });
    return answer.action === 'accept' ? `Prompt with context: ${answer.content.context}` : 'No context';
  },
});

export default defineToolset({
  prompts: {
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
  },
});
