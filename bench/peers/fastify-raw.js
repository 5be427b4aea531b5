// The ceiling: a bare Fastify route that parses the JSON body and answers bytes it was given before. No protocol at all.
// `PUT /bytes/<name>` keeps an answer, `POST /bytes/<name>` parses the request and sends it.
import Fastify from 'fastify';
import { ready } from './ready.js';

const answers = new Map();
const app = Fastify({ bodyLimit: 16 * 1024 * 1024 });
app.register(async (setup) => {
  setup.removeAllContentTypeParsers();
  setup.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  setup.put('/bytes/:name', async (request, reply) => {
    answers.set(request.params.name, request.body);
    return reply.code(204).send();
  });
});
app.post('/bytes/:name', (request, reply) => {
  if (request.body.jsonrpc !== '2.0') return reply.code(400).send();
  return reply.type('application/json').send(answers.get(request.params.name));
});
ready(await app.listen({ port: 0, host: '127.0.0.1' }));
