// What doctor found to be well, in lines for people.

import { shortened } from '../../core/secret.ts';
import { shownClaims } from '../../core/workload-jwt.ts';
import type { Evidence } from './evidence.ts';
import { ago } from './life.ts';

export function wellFacts(evidence: Evidence): readonly string[] {
  return [jwtFact, issuerFact, vaultFact, loginFact, heldFact, sinkFact]
    .flatMap((fact) => fact(evidence))
    .map((fact) => shortened(fact, MOST_CHARACTERS));
}

const MOST_CHARACTERS = 800;

/** What wasn't looked at, and how to have it looked at. */
export const openNotes = ({ issuer }: Evidence): readonly string[] =>
  issuer?.state === 'unfetched' ? [shortened(issuer.words, MOST_CHARACTERS)] : [];

function jwtFact({ jwt, wall }: Evidence): string[] {
  if (jwt?.seen === undefined) return [];
  const { expiresAt } = jwt.seen;
  const { issuer = 'nobody', subject = 'nobody', audience } = shownClaims(jwt.seen);
  const end = expiresAt === undefined ? 'without an end' : `ends in ${ago(Math.max(0, expiresAt - wall))}`;
  const to = audience.join(' ') || 'no audience';
  return [`a JWT of ${issuer} for ${to}, subject ${subject}, ${end}`];
}

const issuerFact = ({ issuer }: Evidence): string[] =>
  issuer?.state === 'verified' ? [`its signature fits the keys at ${issuer.url}`] : [];

function vaultFact({ settings, health }: Evidence): string[] {
  if (health?.seen === undefined) return [];
  const { version, standby, skewMs } = health.seen;
  const role = standby ? ', a standby' : '';
  // Vault tells whole seconds: less than one can't be told from none
  const clocks = Math.abs(skewMs) < 1000 ? 'agree' : `are ${ago(Math.abs(skewMs))} apart`;
  return [`Vault ${version} at ${settings.vault.address}${role}, clocks ${clocks}`];
}

function loginFact({ settings, login, renewal }: Evidence): string[] {
  if (login?.seen === undefined) return [];
  const { leaseMs, policies, type } = login.seen;
  const renewed = renewal?.seen === true ? ', renewable' : '';
  const { mount, role } = settings.login;
  return [
    `auth/${mount} lets it in as ${role}: a ${type} token for ${ago(leaseMs)}${renewed}, policies ${policies.join(' ')}`,
  ];
}

const heldFact = ({ held }: Evidence): string[] =>
  held?.lookup.seen === true ? [`Vault knows the token in ${held.sink}`] : [];

const sinkFact = ({ sinks }: Evidence): string[] =>
  sinks.flatMap(({ id, failure }) => (failure === undefined ? [`${id} can be written`] : []));
