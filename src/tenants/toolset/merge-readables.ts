// From described prompts and resources to the specs of one toolset: names, URIs and templates judged together.
// Not responsible for tools (`merge`) or for the shape of a description (`manifest-check`).
// Invariant: every name stands once among prompts, and once among resources; so does every URI and every template.
import type { Manifest, PromptManifest, ResourceManifest } from '../../boundary/manifest.ts';
import type { Problem } from '../../shared/problem.ts';
import { parseUriTemplate } from '../../shared/uri-template.ts';
import type { PromptSpec, ResourceSpec } from '../tenant.ts';

export interface MergedReadables {
  /** Sorted by name. */
  readonly prompts: readonly PromptSpec[];
  readonly resources: readonly ResourceSpec[];
  readonly fatal: readonly Problem[];
}

type Named = Pick<PromptManifest, 'name' | 'file'>;

/** `folder`: of the tenant, relative to the estate. */
export function mergeReadables(manifest: Manifest | undefined, folder: string): MergedReadables {
  const { prompts = [], resources = [] } = manifest ?? {};
  const fatal = [
    ...twice(prompts, 'prompt', folder, ({ name }) => [name, `prompt "${name}"`]),
    ...twice(resources, 'resource', folder, ({ name }) => [name, `resource "${name}"`]),
    ...twice(resources, 'URI', folder, ({ uri, uriTemplate = '' }) => [uri ?? uriTemplate, `the URI ${uri ?? uriTemplate}`]),
    ...resources.flatMap((resource) => wrongUri(resource, folder)),
  ];
  return { prompts: prompts.map(promptSpec).toSorted(byName), resources: resources.map(resourceSpec).toSorted(byName), fatal };
}

function twice<T extends Named>(all: readonly T[], of: string, folder: string, keyOf: (one: T) => [string, string]): Problem[] {
  const files = new Map<string, string>();
  const problems: Problem[] = [];
  for (const one of all) {
    const [key, what] = keyOf(one);
    const other = files.get(key);
    if (other === undefined) files.set(key, one.file);
    else {
      const where = other === one.file ? 'twice in this file' : `also in ${folder}/${other}`;
      const hint = `${of === 'URI' ? 'URIs' : 'names'} are unique within a tenant`;
      problems.push({ file: `${folder}/${one.file}`, reason: `${what} stands ${where}`, hint });
    }
  }
  return problems;
}

function wrongUri({ name, file, uri, uriTemplate }: ResourceManifest, folder: string): Problem[] {
  const wrong = (reason: string): Problem[] => [{ file: `${folder}/${file}`, reason: `resource "${name}": ${reason}` }];
  if ((uri === undefined) === (uriTemplate === undefined)) return wrong('must have either `uri` or `uriTemplate`');
  if (uri?.includes('{') === true) return wrong('the URI has a "{"; a template belongs into `uriTemplate`');
  const template = uriTemplate === undefined ? undefined : parseUriTemplate(uriTemplate);
  return typeof template === 'string' ? wrong(`the template ${template}`) : [];
}

function promptSpec(prompt: PromptManifest): PromptSpec {
  const { name, title, description, icons, arguments: args } = prompt;
  return { ...prompt, listing: JSON.stringify({ name, title, description, icons, arguments: args }), repeatable: true };
}

function resourceSpec(resource: ResourceManifest): ResourceSpec {
  const { name, title, description, icons, uri, uriTemplate, mimeType, annotations, size } = resource;
  const listing = JSON.stringify({ uri, uriTemplate, name, title, description, icons, mimeType, annotations, size });
  const template = uriTemplate === undefined ? undefined : parseUriTemplate(uriTemplate);
  return { ...resource, variables: typeof template === 'object' ? template.variables : [], listing, repeatable: true };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
