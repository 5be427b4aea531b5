// What the pages of the embedded authorization server say. Pure.
// Not responsible for who may see them. Invariant: a client's own words are shown as such, beside what is known of it (host of its
// metadata, where it is answered); a wrong name and a wrong password look the same.
import type { ShownClient, SignInStep, Step } from '../../../login/steps.ts';
import type { ShownAccount } from '../../../login/subjects.ts';
import { type Html, html, link } from '../html.ts';
import type { Page } from '../page.ts';

export const AGAIN = html`<p>Go back to your application and connect again.</p>`;

export const STEP_OVER: Page = {
  status: 404,
  title: 'This sign-in is over',
  body: html`<p>It was finished already, has expired, or was begun in another browser.</p>${AGAIN}`,
};
export const FORM_OLD: Page = {
  status: 403,
  title: 'This form has expired',
  body: html`<p>Nothing was done.</p><p>Go back to your application and connect again, with cookies allowed.</p>`,
};
export const BUSY: Page = {
  status: 503,
  title: 'The server is busy',
  body: html`<p>Too many people sign in at this moment. Wait a few seconds, go back, and try again.</p>`,
};
export const SIGNED_OUT: Page = {
  title: 'You are signed out',
  body: html`<p>Applications that you allowed stay connected until you or the operator of this server takes that back.</p>`,
};

/** `error`: of OAuth. */
export function protocolErrorPage(error: string): Page {
  const said: { readonly [code: string]: string } = {
    invalid_client: 'The application is not known here, or its description cannot be read.',
    invalid_redirect_uri: 'The application asks to be answered at an address that it has not registered.',
    invalid_request: 'The application asked in a way that this server does not take, or the sign-in has expired.',
    invalid_target: 'The application asked for something that is not on this server.',
  };
  const text = Object.hasOwn(said, error) ? said[error] : 'The application asked for something that this server does not do.';
  return {
    status: 400,
    title: 'This application cannot be connected',
    body: html`<p>${text}</p>${AGAIN}<p class="soft">Code for the operator: <code>${/^[a-z_]{1,40}$/.test(error) ? error : 'unknown'}</code></p>`,
  };
}

export function signInPage({ client, tenant, ways }: SignInStep, csrf: string, wrong: 'no' | 'wrong' | 'often' = 'no'): Page {
  const said = wrong === 'often' ? 'Too many attempts. Wait a minute, then try again.' : 'Name or password is wrong.';
  const { accounts, providers } = ways;
  return {
    title: 'Sign in',
    ...(wrong === 'no' ? {} : { status: wrong === 'often' ? 429 : 403 }),
    body: html`<p><strong>${nameOf(client)}</strong> wants to use <strong>${tenant}</strong>.</p>
${wrong !== 'no' && html`<p class="bad" role="alert">${said}</p>`}
${providers.length > 0 && providerForm(providers, csrf)}
${accounts && passwordForm(csrf, providers.length === 0)}
${!accounts && cancelForm(csrf)}`,
  };
}

function providerForm(providers: SignInStep['ways']['providers'], csrf: string): Html {
  return html`<form method="post"><input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="do" value="sign-in-with">
${providers.map(
  ({ name, oauth }) => html`<button name="provider" value="${name}">Continue with ${oauth.title}</button>
`,
)}</form>`;
}

function passwordForm(csrf: string, alone: boolean): Html {
  return html`${!alone && html`<h2>Or with an account of this server</h2>`}
<form method="post"><input type="hidden" name="csrf" value="${csrf}">
<label for="name">Name</label>
<input id="name" name="name" required autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="128"${alone && html` autofocus`}>
<label for="password">Password</label>
<input id="password" name="password" type="password" required autocomplete="current-password" maxlength="256">
<button name="do" value="sign-in">Sign in</button>
<button class="quiet" name="do" value="deny" formnovalidate>Cancel</button></form>`;
}

function cancelForm(csrf: string): Html {
  return html`<form method="post"><input type="hidden" name="csrf" value="${csrf}">
<button class="quiet" name="do" value="deny">Cancel</button></form>`;
}

export function consentPage(step: Step & { kind: 'consent' }, csrf: string): Page {
  const { client, tenant, account, scopes } = step;
  return {
    title: `Allow ${nameOf(client)}?`,
    body: html`<p>It will act for you in <strong>${tenant}</strong>, until you or the operator of this server takes that back.</p>
${facts(client, [
  ['Tenant', tenant],
  ['Signed in as', shown(account)],
  ['Permissions', scopes.length === 0 ? 'tools that need no permission' : list(scopes)],
])}
${warning(client)}
<form method="post"><input type="hidden" name="csrf" value="${csrf}">
<button name="do" value="allow">Allow</button><button class="quiet" name="do" value="deny">Cancel</button>
<button class="quiet" name="do" value="another">Use another account</button></form>`,
  };
}

export function notMemberPage({ client, tenant, account }: Step & { kind: 'not_member' }, csrf: string): Page {
  const { subject } = account;
  return {
    status: 403,
    title: `${account.called ?? subject} cannot use ${tenant}`,
    body: html`<p>You are signed in, but there is no tenant of this name, or you are not one of its members. The operator of this server can
change that: tell them the name under which you are known here.</p>
${facts(client, [
  ['Tenant', tenant],
  ['Signed in as', shown(account)],
  ['Your name here', html`<code>${subject}</code>`],
  ['For the operator', html`<code>leasehold user grant ${tenant} ${quoted(subject)}</code>`],
])}
<p>When that is done, load this page again.</p>
<form method="post"><input type="hidden" name="csrf" value="${csrf}">
<button name="do" value="another">Use another account</button><button class="quiet" name="do" value="deny">Back to ${nameOf(client)}</button></form>`,
  };
}

function shown({ subject, called, provider }: ShownAccount): string {
  if (provider === undefined) return subject;
  return called === undefined ? `${subject} (${provider})` : `${called} (${provider})`;
}

/** For a shell. */
function quoted(subject: string): string {
  return /^[\w:.@+-]+$/.test(subject) ? subject : `'${subject}'`;
}

export function onPage(to: string): Page {
  return { title: 'Going on', body: html`<p><a class="button" href="${link(to)}">Go on</a></p>`, onTo: to };
}

export function signOutPage(csrf: string): Page {
  return {
    title: 'Sign out?',
    body: html`<p>You will be asked again who you are when an application connects.</p>
<form method="post"><input type="hidden" name="csrf" value="${csrf}"><button>Sign out</button></form>`,
  };
}

function nameOf({ name, host, redirectHost }: ShownClient): string {
  return name ?? host ?? `an application at ${redirectHost}`;
}

function list(scopes: readonly string[]): Html {
  return html`<ul>${scopes.map((scope) => html`<li><code>${scope}</code></li>`)}</ul>`;
}

function facts({ name, host, redirectHost, local }: ShownClient, more: readonly (readonly [string, string | Html])[]): Html {
  const rows: (readonly [string, string | Html])[] = [
    ['Application', name ?? 'without a name'],
    ['Described by', host ?? 'itself: nobody has checked its name'],
    ['Answered at', local ? html`${redirectHost} <span class="soft">(this computer)</span>` : redirectHost],
    ...more,
  ];
  return html`<dl>${rows.map(
    ([what, value]) => html`<dt>${what}</dt><dd>${value}</dd>
`,
  )}</dl>`;
}

function warning({ local }: ShownClient): Html | undefined {
  if (!local) return undefined;
  return html`<p class="bad">The application runs on this computer, and any program here can call itself by its name.</p>
<p>Go on only if you have just begun this yourself.</p>`;
}
