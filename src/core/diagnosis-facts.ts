// What doctor found to be well, in lines for people.

import { ago } from './diagnosis.ts';
import type { Evidence } from './evidence.ts';
import { printable } from './workload-jwt.ts';

export function wellFacts(evidence: Evidence): readonly string[] {
  return [jwtFact, issuerFact, vaultFact, loginFact, sinkFact].flatMap((fact) => fact(evidence));
}

function jwtFact({ jwt, wall }: Evidence): string[] {
  if (jwt?.seen === undefined) return [];
  const { issuer = 'nobody', subject = 'nobody', audience, expiresAt } = jwt.seen;
  const end = expiresAt === undefined ? 'without an end' : `ends in ${ago(Math.max(0, expiresAt - wall))}`;
  const [from, to, whose] = [issuer, audience.join(' ') || 'no audience', subject].map(printable);
  return [`a JWT of ${from} for ${to}, subject ${whose}, ${end}`];
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

const sinkFact = ({ sinks }: Evidence): string[] =>
  sinks.flatMap(({ id, failure }) => (failure === undefined ? [`${id} can be written`] : []));
