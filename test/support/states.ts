// States of an exchange at one moment, for tests of single decisions: an hour's token, a JWT just read, nothing in flight.

import assert from 'node:assert/strict';
import { originOf, placeOf } from '../../src/core/origin.ts';
import { Secret } from '../../src/core/secret.ts';
import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { HeldToken, Policy, SinkState, State, Stopping, Streak } from '../../src/core/state.ts';
import { initialState } from '../../src/core/step.ts';
import type { Grant } from '../../src/core/vault-protocol.ts';
import { decodeWorkloadJwt } from '../../src/core/workload-jwt.ts';
import { jwtText } from './jwt-text.ts';
import { settingsOf } from './world.ts';

export const NOW = Date.UTC(2026, 10, 1);
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

export const policyOf = (settings: Partial<ExchangeSettings> = {}): Policy => ({
  settings: { ...settingsOf(), ...settings },
  sinks: ['/vault/token'],
});
export const POLICY = policyOf();
export const MOMENT = { now: NOW, wall: NOW, random: 0.5 };

export const token = (changes: Partial<HeldToken> = {}): HeldToken => ({
  secret: new Secret('hvs.decided-token'),
  accessor: 'a',
  leaseMs: HOUR,
  renewable: true,
  grantedRenewable: true,
  type: 'service',
  numUses: 0,
  policies: [],
  warnings: [],
  generation: 1,
  revision: 1,
  jwtSerial: 1,
  origin: originOf(POLICY.settings),
  place: placeOf(POLICY.settings),
  fromEarlierConfig: false,
  grantedAt: NOW,
  issuedAt: NOW,
  expiresAt: NOW + HOUR,
  firstLeaseMs: HOUR,
  renewAt: NOW + 40 * MINUTE,
  loginAt: NOW + 51 * MINUTE,
  renewed: false,
  ...changes,
});

export function jwt(serial = 1, claims: Record<string, unknown> = {}): NonNullable<State['jwt']> {
  const decoded = decodeWorkloadJwt(new Secret(jwtText(claims)), {});
  assert.ok(!('code' in decoded));
  return { serial, claims: decoded };
}

/** Just read, nothing in flight, a JWT and no token. */
export function stateOf(changes: Partial<State> = {}): State {
  const state = initialState(POLICY, MOMENT);
  return { ...state, reading: { ...state.reading, endedAt: NOW, nextAt: NOW + HOUR }, jwt: jwt(), ...changes };
}

export const streak = (count: number, retryAt = NOW): Streak => ({
  failure: { code: 'vault_unreachable' },
  since: NOW,
  count,
  retryAt,
});
export const sink = (changes: Partial<SinkState> = {}): SinkState => ({
  id: '/vault/token',
  writing: undefined,
  holds: undefined,
  writtenAt: undefined,
  failure: undefined,
  checkAt: NOW,
  announced: undefined,
  ...changes,
});
export const holding = { generation: 1, revision: 1, expiresAt: NOW + HOUR };
export const stopping = (changes: Partial<Stopping> = {}): Stopping => ({
  since: NOW,
  withdrawal: 'done',
  revocation: undefined,
  ...changes,
});

export const grant = (changes: Partial<Grant> = {}): Grant => ({
  secret: new Secret('hvs.granted-token'),
  accessor: 'a',
  leaseMs: HOUR,
  renewable: true,
  type: 'service',
  numUses: 0,
  policies: [],
  warnings: [],
  ...changes,
});
