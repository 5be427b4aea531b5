// A real browser for a test: headless Chromium of the system, without any script, closed at teardown.
// Not responsible for what is looked at. Where there is no Chromium, `skip` says so.
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import type { Test } from 'tap';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** For tap's `skip`: false where a browser is there. */
export const noBrowser: string | false = existsSync(CHROMIUM)
  ? false
  : `needs Chromium at ${CHROMIUM} (Debian: apt-get install chromium; elsewhere set CHROMIUM)`;

export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  t.teardown(() => browser.close());
  return browser;
}

/** A browser of its own: no cookie is shared with another one. */
export function newVisitor(browser: Browser, options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
  return browser.newContext({ javaScriptEnabled: false, ...options });
}
