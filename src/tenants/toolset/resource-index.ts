// The resources of a toolset, found by what a client asks for: a URI or a template.
// Not responsible for who may read them. Invariant: deterministic: a fixed URI before templates, templates by name.
import { parseUriTemplate, URI_CHARACTERS, type UriTemplate } from '../../shared/uri-template.ts';
import type { ResourceIndex, ResourceSpec } from '../tenant.ts';

export class IndexedResources implements ResourceIndex {
  readonly all: readonly ResourceSpec[];
  readonly #fixed = new Map<string, ResourceSpec>();
  readonly #templates: { readonly spec: ResourceSpec; readonly template: UriTemplate }[] = [];

  /** `all` is ordered by name, and its templates were checked. */
  constructor(all: readonly ResourceSpec[]) {
    this.all = all;
    for (const spec of all) {
      if (spec.uri !== undefined) this.#fixed.set(spec.uri, spec);
      const template = spec.uriTemplate === undefined ? undefined : parseUriTemplate(spec.uriTemplate);
      if (typeof template === 'object') this.#templates.push({ spec, template });
    }
  }

  find(uri: string): ResourceSpec | undefined {
    if (uri.length > URI_CHARACTERS) return undefined;
    return this.#fixed.get(uri) ?? this.#templates.find(({ template }) => template.match(uri) !== undefined)?.spec;
  }

  template(uriTemplate: string): ResourceSpec | undefined {
    return this.#templates.find(({ spec }) => spec.uriTemplate === uriTemplate)?.spec;
  }
}
