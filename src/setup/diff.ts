// What a step would change in a Vault: its body against what is there, in Vault's own way of writing values.

import type { SetupStep, StepValue } from './plan.ts';

export interface Change {
  readonly member: string;
  /** undefined where nothing is set yet */
  readonly from: string | undefined;
  readonly to: string;
}

/** What Vault answers for the path of a step; undefined where there is nothing. */
export type Current = Readonly<Record<string, unknown>> | undefined;

export interface Difference {
  readonly step: SetupStep;
  readonly current: Current;
  readonly changes: readonly Change[];
}

/** Of a trust config only one can be set; a write drops the others. */
export const KEY_SOURCES = ['oidc_discovery_url', 'jwks_url', 'jwks_pairs', 'jwt_validation_pubkeys'] as const;

/** What must not be changed by the way: another issuer would shut out everybody who logs in by this mount. */
const IDENTITY: ReadonlySet<string> = new Set([...KEY_SOURCES, 'bound_issuer']);

export function changesOf(step: SetupStep, current: Current): Change[] {
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
  { kind, path, exchange }: SetupStep,
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
  // its service account's key is never read back, so a write would lose it
  if ((current['provider_config'] as Current)?.['provider'] === 'gsuite')
    return `${path} has a provider_config for gsuite, whose key can't be read back and would be lost: give exchange ${exchange} another mount`;
  const other = changes.find(({ member, from }) => IDENTITY.has(member) && from !== undefined);
  if (other === undefined || mayReplace) return undefined;
  const [shown = ''] = (other.from ?? '').slice(0, 100).split('\n');
  return `${path} has ${other.member} ${shown}: give exchange ${exchange} another mount, or --replace it`;
}

/**
 * Returns what to write for the changes to come about. A write replaces a whole trust config, so everything that is there
 * is written back, known or not, but for the sources of keys, which exclude each other. A role keeps the members that a
 * write doesn't name, but for `bound_claims_type`, which falls back to "string".
 * https://github.com/hashicorp/vault-plugin-auth-jwt, path_config.go and path_role.go
 */
export function bodyToWrite(
  { kind, body }: Pick<SetupStep, 'kind' | 'body'>,
  current: Current,
): Record<string, unknown> {
  return { ...Object.fromEntries(writtenBack(kind, current)), ...body };
}

function writtenBack(kind: SetupStep['kind'], current: Current = {}): [string, unknown][] {
  const set = Object.entries(current).filter(([, value]) => normalised(value) !== '');
  if (kind === 'role') return set.filter(([member, value]) => member === 'bound_claims_type' && value !== 'string');
  const isDropped = (member: string) => READ_ONLY.has(member) || (KEY_SOURCES as readonly string[]).includes(member);
  return kind === 'trust' ? set.filter(([member]) => !isDropped(member)) : [];
}

/** What a read of a trust config adds to it: OpenBao's verdict on whether it works. */
const READ_ONLY: ReadonlySet<string> = new Set(['status']);

/** Returns the members of a trust config that this program doesn't know: they are written back as they were read. */
export const unknownMembers = ({ kind }: Pick<SetupStep, 'kind'>, current: Current): string[] =>
  kind !== 'trust' ? [] : writtenBack(kind, current).flatMap(([member]) => (KNOWN.has(member) ? [] : [member]));

const KNOWN: ReadonlySet<string> = new Set([
  ...KEY_SOURCES,
  'bound_issuer',
  'default_role',
  'jwks_ca_pem',
  'jwt_supported_algs',
  'namespace_in_state',
  'oidc_client_id',
  'oidc_discovery_ca_pem',
  'oidc_response_mode',
  'oidc_response_types',
  'provider_config',
  'unsupported_critical_cert_extensions',
]);

/** Returns the members that were to be written and aren't there afterwards, each with what it was. */
export function lostMembers(
  { kind, body }: Pick<SetupStep, 'kind' | 'body'>,
  before: Current,
  after: Current,
): { readonly member: string; readonly was: string }[] {
  return writtenBack(kind, before).flatMap(([member, value]) =>
    body[member] !== undefined || normalised(after?.[member]) === normalised(value)
      ? []
      : [{ member, was: normalised(value) }],
  );
}

/** What is there already and worth a word, beside what the plan changes. */
export function remarksOn({ kind, path, body }: SetupStep, current: Current): string[] {
  if (kind !== 'trust' || !current?.['default_role'] || body['default_role'] !== undefined) return [];
  return [`${path}: default_role ${String(current['default_role'])} lets in JWTs that name no role`];
}

/** One text for what Vault takes as the same: a list in any order, a text with blanks at its end. */
function normalised(value: StepValue | unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(worded).sort().join(', ');
  if (typeof value !== 'object') return String(value).trim();
  const members = Object.entries(value).map(([name, one]) => [name, [one].flat().map(worded).sort()] as const);
  return members.length === 0 ? '' : JSON.stringify(Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1))));
}

const worded = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
