// What a step would change in a Vault: its body against what is there, in Vault's own way of writing values.

import type { Step, StepValue } from './provision.ts';

export interface Change {
  readonly member: string;
  /** undefined where nothing is set yet */
  readonly from: string | undefined;
  readonly to: string;
}

/** What Vault answers for the path of a step; undefined where there is nothing. */
export type Current = Readonly<Record<string, unknown>> | undefined;

/** Of a trust config only one can be set; a write drops the others. */
export const KEY_SOURCES = ['oidc_discovery_url', 'jwks_url', 'jwks_pairs', 'jwt_validation_pubkeys'] as const;

/** What must not be changed by the way: another issuer would shut out everybody who logs in by this mount. */
const IDENTITY: ReadonlySet<string> = new Set([...KEY_SOURCES, 'bound_issuer']);

export function changesOf(step: Step, current: Current): Change[] {
  const dropped = step.kind === 'trust' ? KEY_SOURCES.filter((member) => step.body[member] === undefined) : [];
  const wanted = { ...step.body, ...Object.fromEntries(dropped.map((member) => [member, ''])) };
  return Object.entries(wanted).flatMap(([member, value]) => {
    const to = normalised(value);
    const from = normalised(current?.[member]);
    // "oidc" is another name of the same auth method
    if (from === to || (step.kind === 'mount' && from === 'oidc')) return [];
    return [{ member, from: from === '' ? undefined : from, to }];
  });
}

/** Why these changes may not be made; undefined if they may. `mayReplace`: another issuer may be put in the place of one. */
export function refusalOf(
  { kind, path, exchange }: Step,
  changes: readonly Change[],
  { current, mayReplace }: { current: Current; mayReplace: boolean },
): string | undefined {
  const [first] = changes;
  if (first === undefined || current === undefined) return undefined;
  if (kind === 'mount')
    return `${path.slice('sys/'.length)} is of type ${first.from}: give exchange ${exchange} another mount`;
  if (kind !== 'trust') return undefined;
  if (normalised(current['oidc_client_id']) !== '')
    return `${path} serves OIDC logins of people too: give exchange ${exchange} another mount`;
  const other = changes.find(({ member, from }) => IDENTITY.has(member) && from !== undefined);
  if (other === undefined || mayReplace) return undefined;
  const [shown = ''] = (other.from ?? '').slice(0, 100).split('\n');
  return `${path} has ${other.member} ${shown}: give exchange ${exchange} another mount, or --replace it`;
}

/**
 * What is written for the changes to come about. Vault keeps the members of a role that aren't named, but forgets those of
 * a trust config (vault-plugin-auth-jwt, path_config.go), so they are written again; two sources of keys exclude each other.
 */
export function bodyToWrite({ kind, body }: Pick<Step, 'kind' | 'body'>, current: Current): Record<string, unknown> {
  if (kind !== 'trust' || current === undefined) return { ...body };
  const kept = Object.entries(current).filter(
    ([member, value]) => KEPT.has(member) && value !== null && String(value) !== '',
  );
  return { ...Object.fromEntries(kept), ...body };
}

const KEPT = new Set([
  'default_role',
  'jwt_supported_algs',
  'oidc_discovery_ca_pem',
  'jwks_ca_pem',
  'namespace_in_state',
]);

/** What is there already and worth a word, beside what the plan changes. */
export function remarksOn({ kind, path, body }: Step, current: Current): string[] {
  if (kind !== 'trust' || !current?.['default_role'] || body['default_role'] !== undefined) return [];
  return [`${path}: default_role ${String(current['default_role'])} lets in JWTs that name no role`];
}

/** One text for what Vault takes as the same: a list in any order, a text with blanks at its end. */
function normalised(value: StepValue | unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return [...value].map(String).sort().join(', ');
  if (typeof value !== 'object') return String(value).trim();
  const members = Object.entries(value).map(([name, one]) => [name, [one].flat().map(String).sort()] as const);
  return members.length === 0 ? '' : JSON.stringify(Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1))));
}
