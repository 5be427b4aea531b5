// Content of every kind, as the referee asks for it.
import { defineTool, defineToolset, result, Type } from 'leasehold';

const RED_PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const test_simple_text = defineTool({
  description: 'Answers with a text',
  handler: () => 'This is a simple text response for testing.',
});
const test_image_content = defineTool({
  description: 'Answers with an image',
  handler: () => ({ type: 'image' as const, data: RED_PIXEL, mimeType: 'image/png' }),
});
const test_audio_content = defineTool({
  description: 'Answers with a sound',
  handler: () => ({ type: 'audio' as const, data: SILENCE, mimeType: 'audio/wav' }),
});
const test_embedded_resource = defineTool({
  description: 'Answers with an embedded resource',
  handler: () => ({
    type: 'resource' as const,
    resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' },
  }),
});
const test_multiple_content_types = defineTool({
  description: 'Answers with a text, an image and a resource',
  handler: () =>
    result({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: RED_PIXEL, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' },
        },
      ],
    }),
});
const test_error_handling = defineTool({
  description: 'Fails',
  handler: () => {
    throw new Error('This tool intentionally returns an error for testing');
  },
});

const json_schema_2020_12_tool = defineTool({
  description: 'A schema with much of JSON Schema 2020-12 in it',
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
      address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } },
    },
    properties: {
      name: { type: 'string' },
      address: { $ref: '#/$defs/address' },
      contactMethod: { type: 'string', enum: ['phone', 'email'] },
      phone: { type: 'string' },
      email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  } as never,
  handler: (args: object) => `JSON Schema 2020-12 tool called with: ${JSON.stringify(args)}`,
});

const test_x_mcp_header = defineTool({
  description: 'Has a parameter that clients mirror into a header',
  inputSchema: Type.Object({ region: Type.Optional(Type.String({ 'x-mcp-header': 'Region' })) }),
  handler: ({ region }) => `Region ${region ?? '(none)'}`,
});

export default defineToolset({
  tools: {
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    json_schema_2020_12_tool,
    test_x_mcp_header,
  },
});
