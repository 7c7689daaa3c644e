// The checks that passed, one line each.

import { shortened } from '../../core/secret.ts';
import { shownClaims } from '../../core/workload-jwt.ts';
import type { Evidence } from './evidence.ts';
import { ago, lifeLeft } from './life.ts';

export function wellFacts(evidence: Evidence): readonly string[] {
  return [jwtFact, issuerFact, vaultFact, loginFact, heldFact, sinkFact]
    .flatMap((fact) => fact(evidence))
    .map((fact) => shortened(fact, MOST_CHARACTERS));
}

const MOST_CHARACTERS = 800;

/** The checks that were skipped, with how to enable them. */
export const openNotes = ({ issuer }: Evidence): readonly string[] =>
  issuer?.state === 'unfetched' ? [shortened(issuer.words, MOST_CHARACTERS)] : [];

function jwtFact({ jwt, wall }: Evidence): string[] {
  if (jwt?.seen === undefined) return [];
  const { expiresAt } = jwt.seen;
  const { issuer = 'none', subject = 'none', audience } = shownClaims(jwt.seen);
  const to = audience.join(' ') || 'none';
  return [`the JWT has issuer ${issuer}, audience ${to}, subject ${subject}; ${lifeLeft(expiresAt, wall)}`];
}

const issuerFact = ({ issuer }: Evidence): string[] =>
  issuer?.state === 'verified' ? [`the keys at ${issuer.url} verify its signature`] : [];

function vaultFact({ settings, health }: Evidence): string[] {
  if (health?.seen === undefined) return [];
  const { version, standby, skewMs } = health.seen;
  const role = standby ? ', a standby' : '';
  // Vault reports whole seconds, so a smaller difference is below the resolution.
  const clocks = Math.abs(skewMs) < 1000 ? 'agree' : `are ${ago(Math.abs(skewMs))} apart`;
  return [`Vault ${version} at ${settings.vault.address}${role}; the clocks ${clocks}`];
}

function loginFact({ settings, login, renewal }: Evidence): string[] {
  if (login?.seen === undefined) return [];
  const { leaseMs, policies, type } = login.seen;
  const renewed = renewal?.seen === true ? ', renewable' : '';
  const { mount, role } = settings.login;
  return [
    `login at auth/${mount} as ${role}: a ${type} token for ${ago(leaseMs)}${renewed}, policies ${policies.join(' ')}`,
  ];
}

const heldFact = ({ held = [] }: Evidence): string[] =>
  held.flatMap(({ name, lookup }) => (lookup.seen === true ? [`Vault knows ${name}`] : []));

const sinkFact = ({ sinks }: Evidence): string[] =>
  sinks.flatMap(({ id, failure }) => (failure === undefined ? [`${id} is writable`] : []));
