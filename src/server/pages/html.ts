// HTML that is escaped by how it is made: a tagged template whose values are text unless they are HTML themselves.
// Not responsible for documents (`layout`) or for sending (`page`). Pure.
// Invariant: no text becomes markup; the only way to markup is a template literal of this repository.

const ESCAPES: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A piece of a document. Made by `html` only: the field is private, so that no object of another shape passes for one. */
export class Html {
  readonly #markup: string;

  private constructor(markup: string) {
    this.#markup = markup;
  }

  /** @internal used by `html` */
  static join(literals: readonly string[], values: readonly HtmlValue[]): Html {
    return new Html(literals.reduce((markup, literal, i) => markup + markupOf(values[i - 1]) + literal));
  }

  toString(): string {
    return this.#markup;
  }
}

/** Text is escaped; `undefined` and `false` are nothing; lists are joined. */
export type HtmlValue = string | number | Html | undefined | false | readonly HtmlValue[];

/** Attribute values must be quoted in the literal: `<a href="${url}">`. */
export function html(literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return Html.join(literals, values);
}

/** For `href`: http(s) and paths of this server only, since escaping does not keep `javascript:` from running. */
export function link(url: string): string {
  if (/^\/(?![/\\])/.test(url)) return url;
  const { protocol, href } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') throw new TypeError(`not a link: ${protocol}`);
  return href;
}

function markupOf(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.toString();
  if (isList(value)) return value.map(markupOf).join('');
  return String(value).replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}

function isList(value: HtmlValue): value is readonly HtmlValue[] {
  return Array.isArray(value);
}
