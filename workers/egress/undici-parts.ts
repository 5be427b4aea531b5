// The two parts of undici that an egress thread uses, without the rest of it (fetch, caches, mocks, WebSocket).
// Not responsible for how they are used. Loading them alone takes about half the time and 7 MB less for every thread.
// Invariant: undici is pinned to one exact version in package.json, since its inner paths are not part of its API.
import { createRequire } from 'node:module';
import type { buildConnector as BuildConnector, Pool as PoolClass } from 'undici';

const require = createRequire(import.meta.url);

export const Pool = require('undici/lib/dispatcher/pool.js') as typeof PoolClass;
export const buildConnector = require('undici/lib/core/connect.js') as typeof BuildConnector;
