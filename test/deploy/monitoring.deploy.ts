// deploy/monitoring: the alerts are tested by promtool. The alerts and the dashboard's queries run on a real Prometheus
// that scrapes a healthy and a broken sidecar, which proves that all their metrics and labels exist.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readmeBlock, readmeCommands } from '../support/readme.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { debian } from '../support/tools.ts';
import { PANELS, plain, VARIABLES } from './monitoring-dashboard.ts';
import { decodeStrictly, openPrometheus, type Prometheus, promtool } from './monitoring-prometheus.ts';

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
  assert.equal(ALERTS.length, 7);
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

test('alerts and dashboard work on a real Prometheus', async (t) => {
  const healthy = await startSidecar(t, 3600);
  const broken = await startSidecar(t, 4);
  const prometheus = await openPrometheus(t, `${HERE}/alerts.yaml`, [
    { ops: healthy.ops, labels: { namespace: 'test', pod: 'healthy' } },
    { ops: broken.ops, labels: { namespace: 'test', pod: 'broken' } },
  ]);
  const scraped = async () => (await prometheus.labelValues('pod', 'vault_token_sidecar_ready')).length === 2;
  await until('both are scraped', scraped);

  await t.test('the metrics pass promtool check metrics', async () => {
    const metrics = await (await fetch(`${healthy.ops}/metrics`)).text();
    assert.match(metrics, /^vault_token_sidecar_build_info/m);
    assert.deepEqual(promtool(['check', 'metrics'], metrics), { ok: true, output: '' });
  });

  await t.test('each fault of the broken sidecar raises its alert, and the healthy one raises none', async () => {
    await broken.breakAll();
    const expected = ALERTS.filter((name) => name !== 'VaultTokenSidecarDown').sort();
    const missing = async () => {
      const names = await raised(prometheus);
      return expected.filter((name) => !names.includes(name));
    };
    await until('every alert', async () => (await missing()).length === 0, 60_000).catch(async (error) => {
      throw new Error(`not raised: ${await missing()}`, { cause: error });
    });
    assert.deepEqual(await raised(prometheus), expected);
    for (const { labels, annotations } of await prometheus.alerts()) {
      const { summary = '', description = '' } = annotations;
      assert.equal(labels['pod'], 'broken');
      assert.match(summary, 'exchange' in labels ? /\bapp\b.*\bbroken\b/ : /\bbroken\b/);
      // a label that the alert lacks would leave a gap in the text
      for (const text of [summary, description]) assert.match(text, /^[\w/](?!.*( {2}|<no value>)).*\.$/);
    }
  });

  for (const { label, name, selector } of VARIABLES) {
    await t.test(`dashboard variable: ${name}`, async () => {
      const expected = {
        job: ['vault-token-sidecar'],
        namespace: ['test'],
        pod: ['broken', 'healthy'],
        exchange: ['app'],
      }[name];
      const all = { job: '.*', namespace: '.*', pod: '.*', exchange: '.*' };
      assert.deepEqual(await prometheus.labelValues(label, plain(selector, all)), expected);
    });
  }
  for (const { title, targets } of PANELS) {
    await t.test(`dashboard panel: ${title}`, async () => {
      assert.ok(targets.length > 0);
      const here = { job: 'vault-token-sidecar', namespace: 'test', pod: 'broken', exchange: 'app' };
      for (const { expr, legendFormat = '' } of targets) {
        const answer = await prometheus.query(plain(expr, here));
        assert.ok(answer.length > 0, expr);
        for (const [, label = ''] of legendFormat.matchAll(/{{(\w+)}}/g)) {
          assert.ok(
            answer.every(({ metric }) => metric[label]),
            `${label} of ${expr}`,
          );
        }
      }
    });
  }

  await t.test('a stopped sidecar raises the alert VaultTokenSidecarDown', async () => {
    await broken.stop();
    const told = async () => (await raised(prometheus)).includes('VaultTokenSidecarDown');
    await until('the alert', told, 20_000);
  });
});

/** Starts a daemon with two sinks and an in-memory Vault. */
async function startSidecar(t: TestContext, token_ttl: number) {
  const peers = await openPeers(t);
  const { directory, issuer, vault } = peers;
  vault.trust({ issuer: issuer.issuer, role: 'app', settings: { token_ttl } });
  await peers.writeJwt();
  const fragile = join(directory, 'fragile');
  await mkdir(fragile);
  const sinks = [directory, fragile].map((place) => ({ file: { path: join(place, 'token') } }));
  const { daemon, stop } = await runDaemon(t, peers.config({ sinks }));
  await until('it is ready', async () => (await fetch(`${daemon.ops}/readyz`)).ok);
  return {
    ops: daemon.ops,
    stop,
    /** Makes a sink unwritable, lets the JWT expire, and makes Vault refuse all calls with a skewed clock. */
    async breakAll() {
      const logins = () => vault.requests.filter(({ path }) => path.endsWith('/login')).length;
      const before = logins();
      await rm(fragile, { recursive: true });
      await peers.writeJwt({ exp: Math.floor(Date.now() / 1000) + 3 });
      await until('it logs in with the new JWT', () => logins() > before);
      vault.setFault(() => ({
        status: 503,
        body: { errors: ['Vault is sealed'] },
        headers: { date: new Date(Date.now() - 120_000).toUTCString() },
      }));
    },
  };
}

/** The names of the pending and firing alerts. */
async function raised(prometheus: Prometheus): Promise<string[]> {
  const names = (await prometheus.alerts()).map(({ labels }) => labels['alertname'] ?? '');
  return [...new Set(names)].sort();
}
