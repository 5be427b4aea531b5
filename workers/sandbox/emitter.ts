// A copy of Node's EventEmitter for tools: the same methods on a prototype of its own.
// Not responsible for Node's emitters: the real prototype is shared with `process` and the thread's streams, and whoever may
// change its `emit` is handed those as `this`.
// Invariant: nothing reachable from here is the real constructor or the real prototype.
import events from 'node:events';

type Init = (this: object, options?: object) => void;
const { init } = events as unknown as { init: Init };

function EventEmitter(this: object, options?: object): void {
  init.call(this, options);
}

function own(of: object, except: readonly string[]): PropertyDescriptorMap {
  const descriptors: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(of);
  for (const name of except) delete descriptors[name];
  return descriptors;
}

Object.defineProperties(EventEmitter.prototype, own(events.prototype, ['constructor']));
const STATICS = ['once', 'on', 'listenerCount', 'getEventListeners', 'getMaxListeners', 'setMaxListeners', 'addAbortListener'];
const CONSTANTS = ['errorMonitor', 'captureRejectionSymbol', 'defaultMaxListeners'];
for (const name of [...STATICS, ...CONSTANTS]) {
  const value: unknown = (events as unknown as Record<string, unknown>)[name];
  if (value !== undefined)
    Object.defineProperty(EventEmitter, name, { value, writable: true, configurable: true, enumerable: true });
}
Object.defineProperty(EventEmitter, 'EventEmitter', { value: EventEmitter, enumerable: true });

/** What `require('events')` is in a tool. */
export const toolEvents: object = EventEmitter;
