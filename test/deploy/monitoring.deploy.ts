// deploy/monitoring: the alerts are tested by promtool. The alerts and the dashboard's queries run on a real Prometheus
// that scrapes a sidecar whose parts fail and recover: alerts fire and resolve, and panels show the faults.
// REWRITE_SERIES=1 redraws the picture in docs/observability.md.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readmeBlock, readmeCommands } from '../support/readme.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { legendOf, PANELS, plain, VARIABLES } from './monitoring-dashboard.ts';
import { EXPECTED, plainLabels } from './monitoring-panels.ts';
import { drawRun } from './monitoring-picture.ts';
import { decodeStrictly, promtool } from './monitoring-prometheus.ts';
import { type Fault, measureRun, type Run } from './monitoring-run.ts';

const HERE = 'deploy/monitoring';
const RULES = readFileSync(`${HERE}/alerts.yaml`, 'utf8');
const ALERTS = [...RULES.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);

test('the documented promtool commands succeed', async (t) => {
  debian('prometheus');
  const commands = readmeCommands('promtool');
  assert.ok(commands.some((command) => command.includes('test rules')));
  for (const command of commands) {
    await t.test(command, () => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
      assert.equal(status, 0, stdout + stderr);
    });
  }
});

test('Prometheus accepts the documented scrape config', async (t) => {
  debian('prometheus');
  const file = join(await temporaryDirectory(t), 'prometheus.yaml');
  await writeFile(file, readmeBlock('deploy/monitoring/README.md', 'Scrape config', 'yaml'));
  const { output } = promtool(['check', 'config', file]);
  assert.match(output, /SUCCESS: .* is valid prometheus config/);
});

test("the alerts' tests fail for an alert that never fires or always fires", async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'alerts_test.yaml'), readFileSync(`${HERE}/alerts_test.yaml`));
  assert.equal(ALERTS.length, 9);
  for (const name of ALERTS) {
    const rule = new RegExp(`(- alert: ${name}\n[^]*?expr: )[^]*?(\n +for: )`);
    assert.match(RULES, rule);
    const complaints = async (expression: string) => {
      await writeFile(join(directory, 'alerts.yaml'), RULES.replace(rule, `$1${expression}$2`));
      const { output } = promtool(['test', 'rules', join(directory, 'alerts_test.yaml')]);
      return output.split('alertname: ').filter((one) => one.startsWith(`${name},`));
    };
    assert.match((await complaints('vector(1) > 2')).join(), /got:\[\]/, `${name} firing`);
    assert.match((await complaints('vector(1)')).join(), /exp:\[\]/, `${name} silent`);
  }
});

test('each alert links to its runbook', () => {
  const headings = [...readFileSync('docs/runbooks.md', 'utf8').matchAll(/^#+ (.+)$/gm)];
  const anchors = headings.map(([, heading = '']) => heading.toLowerCase().replaceAll(' ', '-'));
  const links = [...RULES.matchAll(/runbook_url: (\S+)$/gm)].map(([, link = '']) => new URL(link));
  assert.deepEqual(
    links.map(({ hash }) => hash.slice(1)),
    ALERTS.map((name) => name.toLowerCase()),
  );
  for (const { origin, pathname, hash } of links) {
    assert.equal(origin + pathname, 'https://git.example.com/vault-token-sidecar/blob/main/docs/runbooks.md');
    assert.ok(anchors.includes(hash.slice(1)), hash);
  }
});

test('the dashboard is valid for Grafana, and works with any data source', () => {
  const text = readFileSync(`${HERE}/dashboard.json`, 'utf8');
  const [dashboard] = decodeStrictly<Record<string, unknown>>(text);
  const { id, uid, schemaVersion, editable } = dashboard ?? {};
  assert.deepEqual({ id, uid, editable }, { id: null, uid: 'vault-token-sidecar', editable: false });
  assert.ok(Number(schemaVersion) >= 39);
  assert.throws(() => decodeStrictly(text.replace('"steps"', '"stepz"')), /thresholds\.stepz is unknown/);
  const ids = [...text.matchAll(/"id": (\d+)/g)].map(([, panel]) => panel);
  assert.equal(new Set(ids).size, ids.length);
  const sources = [...text.matchAll(/"datasource": (.+?),?\n/g)].map(([, source]) => source);
  assert.ok(sources.length >= 20);
  assert.deepEqual([...new Set(sources)], [`{ "type": "prometheus", "uid": "\${datasource}" }`]);
});

test('alerts and dashboard show the faults of a running sidecar', async (t) => {
  const run = await measureRun(t);
  const { prometheus, faults, fired, metrics } = run;
  for (const { name, from, to } of faults)
    t.diagnostic(`${(from - run.from).toFixed(1)} to ${(to - run.from).toFixed(1)} s: ${name}`);

  await t.test('the metrics pass promtool check metrics', () => {
    assert.match(metrics, /^vault_token_sidecar_build_info/m);
    assert.deepEqual(promtool(['check', 'metrics'], metrics), { ok: true, output: '' });
  });

  await t.test('each alert fires during its fault, and is resolved at the end', async () => {
    const lines = await prometheus.range('ALERTS{alertstate="firing",pod="web-0"}', run);
    assert.deepEqual(lines.map(({ metric }) => metric['alertname']).sort(), [...ALERTS].sort());
    for (const { metric, values } of lines) {
      const { name, from, to } = faultOf(run, metric);
      const times = values.map(([at]) => at);
      assert.ok(
        times.some((at) => at >= from && at <= to),
        `${metric['alertname']} at ${times.join()}; from ${from} to ${to}: ${name}`,
      );
    }
    assert.deepEqual(await prometheus.query(FIRING), []);
  });

  await t.test('no alert fires before its fault, and none for the other sidecar', async () => {
    for (const { metric, values } of await prometheus.range(`${FIRING} ${UNLESS_STALLED}`, run)) {
      const { name, from } = faultOf(run, metric);
      const [first = 0] = values[0] ?? [];
      assert.ok(first >= from, `${metric['alertname']} at ${first}; from ${from}: ${name}`);
      assert.equal(metric['pod'], 'web-0');
    }
  });

  await t.test('the texts of the alerts name the sidecar, and have no gap', () => {
    assert.deepEqual(new Set(fired.map(({ labels }) => labels['alertname'])), new Set(ALERTS));
    for (const { labels, annotations } of fired) {
      const { summary = '', description = '' } = annotations;
      assert.match(summary, 'exchange' in labels ? /\bapp\b.*\bweb-0\b/ : /\bweb-0\b/);
      // a label that the alert lacks would leave a gap in the text
      for (const text of [summary, description]) assert.match(text, /^[\w/](?!.*( {2}|<no value>)).*\.$/);
    }
  });

  await t.test('the dashboard has all metrics', () => {
    const names = [...metrics.matchAll(/^# HELP (vault_token_sidecar_\w+)/gm)].map(([, name]) => name);
    const queries = PANELS.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');
    assert.ok(names.length > 20);
    for (const name of names) assert.match(queries, new RegExp(`\\b${name}(_bucket)?\\b`));
  });

  for (const { label, name, selector } of VARIABLES) {
    await t.test(`dashboard variable: ${name}`, async () => {
      const expected = {
        job: ['vault-token-sidecar'],
        namespace: ['test'],
        pod: ['web-0', 'web-1'],
        exchange: ['app'],
      }[name];
      assert.deepEqual(await prometheus.labelValues(label, plain(selector, ALL)), expected);
    });
  }

  assert.deepEqual(PANELS.map(({ title }) => title).sort(), Object.keys(EXPECTED).sort());
  for (const panel of PANELS) {
    await t.test(`dashboard panel: ${panel.title}`, async () => {
      const { unit, legends, within, across } = EXPECTED[panel.title] ?? assert.fail();
      assert.equal(panel.fieldConfig.defaults.unit, unit);
      const shown = await seriesOf(panel, run);
      const names = shown.map(({ legend }) => legend);
      assert.equal(new Set(names).size, names.length, `${names}`);
      for (const legend of legends) assert.ok(names.includes(legend), `${legend} of ${names.join()}`);
      const values = shown.flatMap((one) => one.values);
      const [least, most] = [Math.min(...values), Math.max(...values)];
      assert.ok(least >= within[0] && most <= within[1], `${least} to ${most}, not within ${within}`);
      assert.ok(least <= across[0] && most >= across[1], `${least} to ${most}, not across ${across}`);
    });
  }

  if (process.env['REWRITE_SERIES'] !== undefined) await writeFile('docs/images/series.svg', await drawRun(run));
});

const FIRING = 'ALERTS{alertstate="firing"}';
/** If the machine stalls, scrapes of the other sidecar fail too. What fires within half a minute of that has another reason. */
const UNLESS_STALLED = 'unless on() (min_over_time(up{pod="web-1"}[30s]) == 0)';

function faultOf({ faults }: Run, { alertname = '' }: Readonly<Record<string, string>>): Fault {
  return faults.find(({ alerts }) => alerts.includes(alertname)) ?? assert.fail(alertname);
}

const ALL = { job: '.*', namespace: '.*', pod: '.*', exchange: '.*' };

/** The series with values that a panel shows for the run. */
async function seriesOf({ targets }: (typeof PANELS)[number], run: Run) {
  const all = targets.map(async ({ expr, legendFormat = '' }) => {
    const lines = await run.prometheus.range(plain(expr, ALL), run);
    return lines.map(({ metric, values }) => ({
      legend: legendOf(legendFormat, plainLabels(metric)),
      values: values.map(([, value]) => Number(value)).filter(Number.isFinite),
    }));
  });
  return (await Promise.all(all)).flat().filter(({ values }) => values.length > 0);
}
