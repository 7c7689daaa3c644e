// npm run bench: the sidecar beside `vault agent`, all in one run on one machine, as one table. Words after `--` choose the
// measurements (start restart rotation idle api many sealed size proxy; and the long ones: flat day mechanisms); --minutes N is
// how long the idle and the sealed phase take. Fails where a target is missed by more than the tolerance. Let the machine be quiet.

import { parseArgs } from 'node:util';
import { table } from '../../docs/table.ts';
import { openScope } from '../support/scope.ts';
import { api } from './api.ts';
import type { Row } from './figures.ts';
import { idle } from './idle.ts';
import { flat, many } from './many.ts';
import { mechanisms } from './mechanisms.ts';
import { openPeers } from './peers.ts';
import { proxy } from './proxy.ts';
import { restart } from './restart.ts';
import { rotation } from './rotation.ts';
import { day, sealed } from './sealed.ts';
import { size } from './size.ts';
import { start } from './start.ts';

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' } },
  allowPositionals: true,
});
const minutes = Number(values.minutes);
const scope = openScope();
const peers = await openPeers(scope);
const measurements = {
  start: () => start(peers),
  rotation: () => rotation(peers),
  restart: () => restart(peers),
  idle: () => idle(peers, minutes),
  api: () => api(peers),
  many: () => many(scope),
  sealed: () => sealed(peers, minutes),
  size: async () => size(),
  proxy: () => proxy(peers),
  flat: () => flat(scope),
  day: () => day(peers),
  mechanisms: () => mechanisms(peers),
} satisfies Record<string, () => Promise<Row[]>>;
const EVERY_DAY = ['start', 'rotation', 'restart', 'idle', 'api', 'many', 'sealed', 'size', 'proxy'];

const rows: Row[] = [];
const configs = [peers.agent];
try {
  const chosen = positionals.length === 0 ? EVERY_DAY : positionals;
  const unknown = chosen.filter((name) => !Object.hasOwn(measurements, name));
  if (unknown.length > 0) throw new Error(`no such measurement: ${unknown.join(', ')}`);
  for (const [name, measure] of Object.entries(measurements)) {
    if (!chosen.includes(name)) continue;
    process.stderr.write(`${name} ...\n`);
    rows.push(...(await measure()));
  }
  if (chosen.includes('rotation')) configs.push(await peers.watchingAgent('100ms'));
} finally {
  await scope.end();
}
const figures = [
  ['', 'sidecar', 'vault agent', 'target (tolerance)'],
  ...rows.map(({ what, sidecar, agent, targets }) => [
    what,
    sidecar,
    agent,
    targets.map(({ text, isMissed }) => (isMissed ? `MISSED ${text}` : text)).join('; '),
  ]),
];
console.log(table(figures));
for (const { name, config } of configs) console.log(`\nThe config of ${name}:\n${config.trim()}`);
const missed = rows.flatMap(({ what, targets }) =>
  targets.filter(({ isMissed }) => isMissed).map(({ text }) => `${what}: ${text}`),
);
for (const one of missed) console.log(`missed: ${one}`);
process.exitCode = missed.length === 0 ? 0 : 1;
