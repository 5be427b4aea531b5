// What the pages say of signing in by a provider that did not come to a good end. Pure.
// Not responsible for the page that offers it (`views`). Invariant: every page says what happened and what to do next; no word of the
// provider and no reason is on any, but a number under which the operator finds the reason.
import type { Returned } from '../../../login/login-server.ts';
import { type Html, html, link } from '../html.ts';
import type { Page } from '../page.ts';
import { AGAIN, onPage } from './views.ts';

/** The provider cannot be asked. */
export function unavailablePage(provider: string, reference: string): Page {
  return {
    status: 502,
    title: `${provider} cannot be used at this moment`,
    body: html`<p>You were not signed in. Go back and try again in a minute, or sign in another way.</p>${forOperator(reference)}`,
  };
}

export function returnedPage(returned: Returned, reference: string): Page {
  switch (returned.kind) {
    case 'on':
      return onPage(returned.to);
    case 'unknown':
      return {
        status: 404,
        title: 'This answer is not expected',
        body: html`<p>It was used already, has expired, or belongs to nothing that was begun here. Nobody was signed in by it.</p>${AGAIN}`,
      };
    case 'other_browser':
      return {
        status: 403,
        title: 'This was begun in another browser',
        body: html`<p>Nobody was signed in. Go back to your application, connect again and finish in the same browser, with cookies allowed.</p>`,
      };
    case 'denied':
      return {
        title: 'You are not signed in',
        body: html`<p>It was not allowed at ${returned.provider}. That can be changed at any time.</p>${tryAgain(returned.retry)}`,
      };
    case 'not_allowed':
      return {
        status: 403,
        title: 'This account may not sign in here',
        body: html`<p>The operator of this server lets in only some of the accounts of ${returned.provider}, and yours is none of them.</p>
<p>Use another account, or ask the operator.</p>${tryAgain(returned.retry)}${forOperator(reference)}`,
      };
    case 'failed':
      return {
        status: 502,
        title: `${returned.provider} could not sign you in`,
        body: html`<p>Its answer could not be had or cannot be relied on, so nobody was signed in.</p>${tryAgain(returned.retry)}${forOperator(reference)}`,
      };
    default:
      return returned satisfies never;
  }
}

function tryAgain(retry: string): Html {
  return html`<p><a class="button" href="${link(retry)}">Try again</a></p>`;
}

/** The exact reason stands in the audit trail, under this number. */
function forOperator(reference: string): Html {
  return html`<p class="soft">Number for the operator: <code>${reference}</code></p>`;
}
