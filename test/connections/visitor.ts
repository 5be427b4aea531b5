// A browser as far as HTTP goes, and a person in front of it who signs in at the real server: for what needs no pixels.
// Not responsible for what is asserted.
import type { ConnectScene, Link } from './connect-scene.ts';

/** A cookie, forms, no redirect followed. */
export class Visitor {
  readonly #cookies = new Map<string, string>();
  readonly #base: string;
  constructor(base: string) {
    this.#base = base;
  }
  async visit(
    url: string,
    form?: Record<string, string>,
  ): Promise<{ status: number; title: string; text: string; headers: Headers }> {
    const response = await fetch(new URL(url, this.#base), {
      redirect: 'manual',
      headers: { cookie: [...this.#cookies].map((pair) => pair.join('=')).join('; '), ...(form && { origin: this.#base }) },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';', 1)[0]?.split('=') ?? [];
      this.#cookies.set(name, value);
    }
    const text = await response.text();
    return { status: response.status, title: /<h1>([^<]*)/.exec(text)?.[1] ?? '', text, headers: response.headers };
  }
  /** Opens the link, types the code; what the page then says. */
  async confirm(link: Link, code = link.code) {
    const { text } = await this.visit(link.url);
    const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';
    return this.visit(link.url, { csrf, code });
  }
  /** The address of the service that the confirmed browser is sent to. */
  async sent(link: Link): Promise<URL> {
    const { text } = await this.confirm(link);
    return new URL((/http-equiv="refresh" content="0; url=([^"]+)"/.exec(text)?.[1] ?? '').replaceAll('&amp;', '&'));
  }
}

/** Signs in at the real server with plain HTTP, as one browser; the query it sends back with. */
export async function answerOf(s: Pick<ConnectScene, 'real' | 'runtime'>, at: URL): Promise<URLSearchParams> {
  const service = new Visitor(s.real.origin);
  let next = at.href;
  for (let steps = 0; steps < 12; steps += 1) {
    const page = await service.visit(next);
    const location = page.headers.get('location');
    if (location?.startsWith(s.runtime.url)) return new URL(location).searchParams;
    if (location !== null) {
      next = new URL(location, s.real.origin).href;
      continue;
    }
    const prompt = /name="prompt" value="(\w+)"/.exec(page.text)?.[1] ?? '';
    const posted = await service.visit(next, { prompt, login: 'ada', password: 'x' });
    next = new URL(posted.headers.get('location') ?? '', s.real.origin).href;
  }
  throw new Error('the sign-in did not end');
}
export const back = (s: Pick<ConnectScene, 'runtime'>, who: Visitor, query: URLSearchParams | string) =>
  who.visit(`${s.runtime.url}/connect/callback?${query.toString()}`);

/** All of it; the heading of the last page. */
export async function connectAs(s: Pick<ConnectScene, 'real' | 'runtime'>, link: Link): Promise<string> {
  const visitor = new Visitor(s.runtime.url);
  return (await back(s, visitor, await answerOf(s, await visitor.sent(link)))).title;
}
