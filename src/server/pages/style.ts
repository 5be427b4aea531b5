// The style of all pages, in the page itself, and its hash for the content security policy.
// Not responsible for structure. Invariant: no request leaves for it, and nothing but exactly this text is applied.
import { createHash } from 'node:crypto';

export const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --line: #d0d7de; --accent: #0a58ca; --on-accent: #fff;
  --bad: #b3261e; --good: #1a7f37; --raised: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b1; --paper: #0d1117; --line: #3d444d; --accent: #6cb0ff;
  --on-accent: #0d1117; --bad: #ff8a80; --good: #57d16f; --raised: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 34rem; margin: 0 auto; padding: 3rem 1.25rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.1rem; line-height: 1.25; margin: 1.5rem 0 1rem; }
p { margin: 0 0 1rem; }
a { color: var(--accent); }
.soft, footer { color: var(--soft); font-size: .9rem; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .5rem 1rem; margin: 0 0 1.5rem; padding: 1rem;
  border: 1px solid var(--line); border-radius: .5rem; background: var(--raised); }
dt { color: var(--soft); }
dd { margin: 0; }
dd ul { margin: 0; padding-left: 1.1rem; }
code { font: .9em ui-monospace, monospace; }
label { display: block; font-weight: 600; margin: 0 0 .35rem; }
input { width: 100%; font: inherit; padding: .6rem .75rem; color: var(--ink); background: var(--paper); border: 1px solid var(--soft);
  border-radius: .4rem; margin: 0 0 1rem; }
input.code { font-family: ui-monospace, monospace; letter-spacing: .15em; text-transform: uppercase; max-width: 14rem; display: block; }
button, .button { display: inline-block; font: inherit; font-weight: 600; padding: .6rem 1.1rem; margin: 0 .5rem .5rem 0; border-radius: .4rem;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); cursor: pointer; text-decoration: none; }
button.quiet { background: transparent; color: var(--ink); border-color: var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
footer { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; }
@media (max-width: 26rem) { main { padding: 1.5rem 1rem; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; }
  dd:last-child { margin: 0; } }
`;

/** As a source of `style-src`. */
export const STYLE_SOURCE = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`;
