// A real browser for a test: headless Chromium of the system, without any script. One for a test file, closed at its end, with
// visitors that share nothing and are gone at teardown.
// Not responsible for what is looked at. Where there is no Chromium, `skip` says so.
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import root, { type Test } from 'tap';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** For tap's `skip`: false where a browser is there. */
export const noBrowser: string | false = existsSync(CHROMIUM)
  ? false
  : `needs Chromium at ${CHROMIUM} (Debian: apt-get install chromium; elsewhere set CHROMIUM)`;

let started: Promise<Browser> | undefined;

export async function startBrowser(t: Test): Promise<Browser> {
  started ??= launch();
  const browser = await started;
  t.teardown(() => Promise.all(browser.contexts().map((visitor) => visitor.close())));
  return browser;
}

function launch(): Promise<Browser> {
  const launched = chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  root.teardown(async () => (await launched).close());
  return launched;
}

/** A browser of its own: no cookie is shared with another one. */
export function newVisitor(browser: Browser, options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
  return browser.newContext({ javaScriptEnabled: false, ...options });
}
