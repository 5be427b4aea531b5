// The two parts of undici that are used, without the rest of it (fetch, caches, mocks, WebSocket).
// Not responsible for how they are used. Loading them alone takes about half the time and 7 MB less for every thread.
// Invariant: undici is pinned to one exact version in package.json, since its inner paths are not part of its API.
export { default as buildConnector } from 'undici/lib/core/connect.js';
export { default as Pool } from 'undici/lib/dispatcher/pool.js';
