// A small fleet doesn't overload its Vault. run.ts checks it with a thousand sidecars and draws the plot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlot } from './fleet-plot.ts';
import {
  denying,
  forgetting,
  jitteredStart,
  keyRotation,
  largerQuota,
  loss,
  lossLines,
  ofNaives,
  ofSidecars,
  outage,
  overload,
  peak,
  peaksAfterLoss,
  quota,
  startTogether,
  table,
  total,
} from './fleet-scenarios.ts';
import { HOUR, MINUTE, SECOND } from './plan.ts';

const CLIENTS = 200;

test('100 sidecars send at most 3 requests a second after an outage, and 30 times fewer than naive clients in all (D15)', () => {
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
    'a run always gives the same plot',
  );
});

test('no token expires while 30 % of all calls are lost for an hour (D16)', () => {
  const { gapSeconds, lost } = ofSidecars(loss(CLIENTS));
  assert.equal(gapSeconds, 0);
  assert.ok(lost > CLIENTS / 3, `${lost} lost`);
});

test('no token expires while Vault lacks the new key for ten minutes, with 20 times fewer requests than naive clients (C9)', () => {
  const [sidecars, naives] = [ofSidecars(keyRotation(CLIENTS)), ofNaives(keyRotation(CLIENTS))];
  assert.equal(sidecars.gapSeconds, 0);
  assert.ok(total(sidecars) * 20 < total(naives), `${total(sidecars)} requests`);
});

test('all clients have a token within five minutes when they start at once under a quota, with few refusals (C7)', () => {
  const scenario = { ...quota(CLIENTS), quota: 4 };
  const [sidecars, naives] = [ofSidecars(scenario), ofNaives(scenario)];
  assert.ok(sidecars.allServedMs <= 5 * MINUTE, `${sidecars.allServedMs} ms`);
  assert.ok(total(sidecars) * 3 < total(naives), `${total(sidecars)} requests`);
});

test('a thousand sidecars that start at once under a quota of 100/s come back in no second wave (C7)', () => {
  const load = ofSidecars(largerQuota(1000));
  assert.ok(peak(load, 1, [SECOND, HOUR]) <= 125, `${peak(load, 1, [SECOND, HOUR])} requests in a second`);
  assert.ok(load.allServedMs <= 30 * SECOND, `${load.allServedMs} ms`);
  assert.ok(load.refused <= 1000, `${load.refused} refused`);
});

test('with start_jitter, Vault refuses none of a thousand sidecars that start at once', () => {
  const load = ofSidecars(jitteredStart(1000));
  assert.deepEqual([load.refused, load.allServedMs <= 61 * SECOND], [0, true]);
  assert.ok(peak(load, 1) <= 40, `${peak(load, 1)} requests in a second`);
});

test('a thousand sidecars that overload Vault at their start come back in ever smaller numbers (C8)', () => {
  const load = ofSidecars(overload(1000));
  const peaks = [0, 1, 5, 10].map((second) => peak(load, 1, [second * SECOND, HOUR]));
  assert.ok(
    [1000, 400, 150, 100].every((most, index) => (peaks[index] ?? most + 1) <= most),
    `${peaks}`,
  );
  assert.ok(load.allServedMs <= 30 * SECOND, `${load.allServedMs} ms`);
});

test('a thousand proxies that meet a Vault with empty storage in one second log in over three seconds (L4)', () => {
  const scenario = denying(1000);
  const [sidecars, naives] = [ofSidecars(scenario), ofNaives(scenario)];
  const [most, naiveMost] = [sidecars, naives].map((load) => peaksAfterLoss(load, scenario).logins);
  assert.ok(most !== undefined && most > 100 && most <= 400, `${most} logins in a second`);
  assert.ok(naiveMost !== undefined && naiveMost > 900, `${naiveMost} logins of naive clients in a second`);
  assert.ok(sidecars.recoveredMs <= 15 * SECOND, `${sidecars.recoveredMs} ms`);
  assert.equal(sidecars.refused, 0);
  assert.match(
    lossLines({ scenario, sidecars, naives }),
    /in use\n {2}sidecars: \d+ requests and \d+ logins in 1 s, all served again after \d+ s\n {2}naive: /,
  );
});

test('checks each minute replace lost tokens without a wave of logins, within the minute and its jitter', () => {
  const scenario = forgetting(1000);
  const load = ofSidecars(scenario);
  const { logins } = peaksAfterLoss(load, scenario);
  assert.ok(logins > 0 && logins <= 50, `${logins} logins in a second`);
  assert.ok(load.recoveredMs <= 70 * SECOND, `${load.recoveredMs} ms`);
});

test('the table has a line for each kind of client', () => {
  const scenario = startTogether(10);
  const lines = table([{ scenario, sidecars: ofSidecars(scenario), naives: ofNaives(scenario) }]).split('\n');
  assert.match(lines[1] ?? '', /all start at once +10 sidecars +10\/s +1\.0\/s +\d+ +1 s +0 s/);
  assert.equal(lines.length, 3);
});
