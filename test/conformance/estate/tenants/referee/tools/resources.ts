// Resources of every kind, as the referee asks for them.
import { defineResource, defineToolset } from 'leasehold';

const RED_PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';

const static_text = defineResource({
  uri: 'test://static-text',
  title: 'Static text',
  description: 'A text that does not change',
  mimeType: 'text/plain',
  handler: () => 'This is the content of the static text resource.',
});
const static_binary = defineResource({
  uri: 'test://static-binary',
  title: 'Static image',
  description: 'An image that does not change',
  mimeType: 'image/png',
  handler: () => ({ blob: RED_PIXEL }),
});
const template = defineResource({
  uriTemplate: 'test://template/{id}/data',
  title: 'Template',
  description: 'Data for an id',
  mimeType: 'application/json',
  handler: ({ params: { id } }) => JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
});
const watched = defineResource({
  uri: 'test://watched-resource',
  title: 'Watched resource',
  description: 'A text that may change',
  mimeType: 'text/plain',
  handler: () => 'Watched content',
});

export default defineToolset({ resources: { static_text, static_binary, template, watched } });
