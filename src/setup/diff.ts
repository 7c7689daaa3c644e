// Compares the body of a step with the current content of its path in Vault.

import type { SetupStep, StepValue } from './plan.ts';

export interface Change {
  readonly member: string;
  /** undefined if the member isn't set yet */
  readonly from: string | undefined;
  readonly to: string;
}

/** The current content of a step's path in Vault; undefined if the path is empty. */
export type Current = Readonly<Record<string, unknown>> | undefined;

export interface Difference {
  readonly step: SetupStep;
  readonly current: Current;
  readonly changes: readonly Change[];
}

/** The mutually exclusive key sources of a trust config; a write drops all but one. */
export const KEY_SOURCES = ['oidc_discovery_url', 'jwks_url', 'jwks_pairs', 'jwt_validation_pubkeys'] as const;

/** Members that only --replace may change: another issuer would lock out all workloads that log in at this mount. */
const IDENTITY: ReadonlySet<string> = new Set([...KEY_SOURCES, 'bound_issuer']);

/** Returns the members that a write of the step would change. */
export function changesOf(step: SetupStep, current: Current): Change[] {
  const dropped = step.kind === 'trust' ? KEY_SOURCES.filter((member) => step.body[member] === undefined) : [];
  const wanted = { ...step.body, ...Object.fromEntries(dropped.map((member) => [member, ''])) };
  return Object.entries(wanted).flatMap(([member, value]) => {
    const to = normalised(value);
    const from = normalised(current?.[member]);
    // "oidc" is an alias of the same auth method.
    if (from === to || (step.kind === 'mount' && from === 'oidc')) return [];
    return [{ member, from: from === '' ? undefined : from, to }];
  });
}

/** Returns why the changes must not be made; undefined if they may. `mayReplace` permits changing the issuer. */
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
    return `${path} also serves OIDC logins of users: give exchange ${exchange} another mount`;
  // Vault never returns the service account's key, so a write would lose it.
  if ((current['provider_config'] as Current)?.['provider'] === 'gsuite')
    return `${path} has a provider_config for gsuite, and a write would lose its key, which Vault never returns: give exchange ${exchange} another mount`;
  const other = changes.find(({ member, from }) => IDENTITY.has(member) && from !== undefined);
  if (other === undefined || mayReplace) return undefined;
  const [shown = ''] = (other.from ?? '').slice(0, 100).split('\n');
  return `${path} has ${other.member} ${shown}: give exchange ${exchange} another mount, or change it with --replace`;
}

/**
 * Returns the body to write. A write replaces a whole trust config, so the body includes all current members, known or unknown,
 * except the key sources, which exclude each other. A role keeps the members that a write doesn't name, except
 * `bound_claims_type`, which a write resets to "string".
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

/** Members that a read adds to a trust config: OpenBao reports there whether the config works. */
const READ_ONLY: ReadonlySet<string> = new Set(['status']);

/** Returns the unknown members of a trust config, which are written back unchanged. */
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

/** Returns the members that were written back but that Vault didn't keep, with their previous values. */
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

/** Returns warnings about the current content that the plan doesn't change. */
export function remarksOn({ kind, path, body }: SetupStep, current: Current): string[] {
  if (kind !== 'trust' || !current?.['default_role'] || body['default_role'] !== undefined) return [];
  return [`${path}: default_role ${String(current['default_role'])} accepts logins without a role`];
}

/** Returns the same text for values that Vault treats as equal: lists in any order, strings with leading or trailing whitespace. */
function normalised(value: StepValue | unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(worded).sort().join(', ');
  if (typeof value !== 'object') return String(value).trim();
  const members = Object.entries(value).map(([name, one]) => [name, [one].flat().map(worded).sort()] as const);
  return members.length === 0 ? '' : JSON.stringify(Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1))));
}

const worded = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
