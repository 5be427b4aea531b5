// What the connect pages say. Pure.
// Not responsible for who may see them. Invariant: every page says what happened and what to do next; no secret is on any.
import type { Answered, Confirmed, FlowFacts } from '../../../connections/connect/connect-flow.ts';
import { type Html, html, link as href } from '../html.ts';
import type { Page } from '../page.ts';

/** Where a form goes to, and its token. */
interface FormPlace {
  readonly link: string;
  readonly csrf: string;
}

const AGAIN = html`<p>Go back to your MCP client and call the tool again: it will show you a new link.</p>`;

export const UNKNOWN_LINK: Page = {
  status: 404,
  title: 'This link is not valid any more',
  body: html`<p>It was used already, has expired, or was made for somebody else.</p>${AGAIN}`,
};
export const FORM_OLD: Page = {
  status: 403,
  title: 'This form has expired',
  body: html`<p>Nothing was done. Open the link of your MCP client again, in this browser and with cookies allowed.</p>`,
};

function factList({ tenant, service, subject, scopes, connection }: FlowFacts): Html {
  const may =
    scopes.length === 0
      ? 'what it grants by default'
      : html`<ul>${scopes.map((scope) => html`<li><code>${scope}</code></li>`)}</ul>`;
  return html`<dl>
<dt>Service</dt><dd>${service}</dd>
<dt>Tenant</dt><dd>${tenant}</dd>
<dt>For</dt><dd>${subject ?? 'all users of the tenant'}</dd>
<dt>Connection</dt><dd><code>${connection}</code></dd>
<dt>Permissions</dt><dd>${may}</dd>
</dl>`;
}

export interface ConfirmView extends FormPlace {
  readonly facts: FlowFacts;
  /** The short code must be typed. */
  readonly byCode: boolean;
  /** Left, after a wrong one. */
  readonly guesses?: number;
}

export function confirmPage({ facts, byCode, guesses, link, csrf }: ConfirmView): Page {
  const { service, tenant, subject } = facts;
  const whom =
    subject === undefined ? html`<strong>all users</strong> of ${tenant}` : html`<strong>${subject}</strong> of ${tenant}`;
  const wrong =
    guesses !== undefined &&
    html`<p class="bad" role="alert">That is not the code. ${guesses === 1 ? 'One try is left.' : `${guesses} tries are left.`}</p>`;
  const code = html`${wrong}<label for="code">Code that your MCP client shows</label>
<input class="code" id="code" name="code" required autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="16"
  aria-describedby="code-help">
<p class="soft" id="code-help">Did somebody else send you this link? Then close this page: the account would be connected for them.</p>`;
  return {
    title: `Connect ${service}`,
    ...(guesses === undefined ? {} : { status: 403 }),
    body: html`<p>The tools of ${whom} want to use an account of yours at ${service}.</p>
${factList(facts)}
<form method="post" action="${href(`/connect/${link}`)}">
<input type="hidden" name="csrf" value="${csrf}">
${byCode ? code : undefined}
<button type="submit">Continue to ${service}</button>
</form>
<p class="soft">You will sign in at ${service} itself. This server keeps what it gets from there for your tools alone.
If you did not ask for this, close the page: nothing happens then.</p>`,
  };
}

export function confirmedPage(confirmed: Confirmed, place: FormPlace): Page {
  switch (confirmed.kind) {
    case 'unknown':
      return UNKNOWN_LINK;
    case 'wrong_code':
      return confirmPage({ ...place, facts: confirmed.facts, byCode: true, guesses: confirmed.guesses });
    case 'failed':
      return failedPage(confirmed.facts, confirmed.reason);
    case 'go': {
      const { service } = confirmed.facts;
      return {
        title: `Going on to ${service}`,
        onTo: confirmed.url,
        body: html`<p>If your browser does not go on by itself:</p><p><a class="button" href="${href(confirmed.url)}">Continue to ${service}</a></p>`,
      };
    }
    default:
      return confirmed satisfies never;
  }
}

export function answeredPage(answered: Answered): Page {
  switch (answered.kind) {
    case 'unknown':
      return {
        status: 404,
        title: 'This answer is not expected',
        body: html`<p>It was used already, has expired, or belongs to nothing that was begun here. Nothing was connected by it.</p>${AGAIN}`,
      };
    case 'other_browser':
      return {
        status: 403,
        title: 'This was begun in another browser',
        body: html`<p>Nothing was connected. Open the link of your MCP client and finish in the same browser, with cookies allowed.</p>`,
      };
    case 'denied':
      return {
        title: `${answered.facts.service} was not connected`,
        body: html`<p>You did not allow it, so nothing was connected. That can be changed at any time.</p>${AGAIN}`,
      };
    case 'failed':
      return failedPage(answered.facts, answered.reason);
    case 'connected':
      return connectedPage(answered.facts, answered.account, answered.lacking);
    default:
      return answered satisfies never;
  }
}

function connectedPage(facts: FlowFacts, account: string | undefined, lacking: readonly string[]): Page {
  const less =
    lacking.length > 0 &&
    html`<p class="bad">${facts.service} gave fewer permissions than were asked for. Missing: ${lacking.join(', ')}. Tools that need them will ask again.</p>`;
  return {
    title: `${facts.service} is connected`,
    body: html`<p class="good" role="status">Done${account === undefined ? '.' : `: connected as ${account}.`}</p>${less}
${factList(facts)}
<p>You can close this page and go back to your MCP client. If it does not go on by itself, call the tool again.</p>`,
  };
}

function failedPage({ service }: FlowFacts, reason: string): Page {
  return {
    status: 502,
    title: `${service} could not be connected`,
    body: html`<p>Nothing was connected: ${reason}.</p>${AGAIN}
<p class="soft">If it fails again, tell the operator of this server what stands here.</p>`,
  };
}
