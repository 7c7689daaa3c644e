// A small fleet in front of one Vault, and that Vault isn't overrun; npm run test:simulation does it with a thousand sidecars
// and draws the plot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlot } from './fleet-plot.ts';
import {
  keyRotation,
  loss,
  ofNaives,
  ofSidecars,
  outage,
  peak,
  quota,
  startTogether,
  table,
  total,
} from './fleet-scenarios.ts';
import { HOUR, MINUTE } from './plan.ts';

const CLIENTS = 200;

test('Vault is sealed for hours, then heals: at most 3 requests a second for each 100 sidecars, naive clients ask 30 times as often (D15)', () => {
  const scenario = outage(CLIENTS, 3);
  const [sidecars, naives] = [ofSidecars(scenario), ofNaives(scenario)];
  const [, to = 0] = scenario.outage ?? [];
  const atHeal = peak(sidecars, 30, [to - 10 * MINUTE, to + 2 * HOUR]);
  assert.ok(atHeal <= (3 * CLIENTS) / 100, `${atHeal} requests a second`);
  assert.ok(total(sidecars) > CLIENTS * 100 && total(sidecars) * 30 < total(naives), `${total(sidecars)} requests`);
  const drawn = { title: 'x', sidecars, naives, outage: [0, to], capacity: 100 } as const;
  assert.equal(
    drawPlot(drawn),
    drawPlot({ ...drawn, sidecars: ofSidecars(scenario) }),
    'the same run is the same plot',
  );
});

test('with 30 % of all calls lost for an hour no token runs out (D16)', () => {
  const { gapSeconds, lost } = ofSidecars(loss(CLIENTS));
  assert.equal(gapSeconds, 0);
  assert.ok(lost > CLIENTS / 3, `${lost} lost`);
});

test('keys rotate, and for ten minutes Vault knows no new one: no token runs out, and Vault is asked 20 times less (C9)', () => {
  const [sidecars, naives] = [ofSidecars(keyRotation(CLIENTS)), ofNaives(keyRotation(CLIENTS))];
  assert.equal(sidecars.gapSeconds, 0);
  assert.ok(total(sidecars) * 20 < total(naives), `${total(sidecars)} requests`);
});

test('all start at once under a quota: everybody is served soon, with few refusals (C7)', () => {
  const scenario = { ...quota(CLIENTS), quota: 4 };
  const [sidecars, naives] = [ofSidecars(scenario), ofNaives(scenario)];
  assert.ok(sidecars.allServedMs <= 5 * MINUTE, `${sidecars.allServedMs} ms`);
  assert.ok(total(sidecars) * 3 < total(naives), `${total(sidecars)} requests`);
});

test('the table has a line for each kind of client', () => {
  const scenario = startTogether(10);
  const lines = table([{ scenario, sidecars: ofSidecars(scenario), naives: ofNaives(scenario) }]).split('\n');
  assert.match(lines[1] ?? '', /all start at once +10 sidecars +10\/s +1\.0\/s +\d+ +1 s +0 s/);
  assert.equal(lines.length, 3);
});
