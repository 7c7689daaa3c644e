// The stop timeout of each platform must exceed the 5 s that a stop of the sidecar may take on a busy machine.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** Three times what a stop takes at most on a machine with free CPU. */
const STOP_SECONDS = 5;
/** The probe, with the more indented lines below it. */
const LIVENESS_PROBE = /^( *)livenessProbe:.*\n(?:\1 +.*\n)+/gm;
/** Compose's default. */
const COMPOSE_SECONDS = 10;

test('every deployment allows more time for a stop than the sidecar needs', () => {
  const unit = readFileSync('deploy/systemd/vault-token-sidecar@.service', 'utf8');
  assert.ok(Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]) > STOP_SECONDS);
  const [, sidecar = ''] =
    /^ {2}token-sidecar:$([\s\S]*?)^ {2}\w/m.exec(readFileSync('deploy/compose/compose.yaml', 'utf8')) ?? [];
  assert.ok(sidecar.includes('command: [run'));
  const seconds = Number(/stop_grace_period: (\d+)s/.exec(sidecar)?.[1] ?? COMPOSE_SECONDS);
  assert.ok(seconds > STOP_SECONDS);
  // the default of Kubernetes is 30 s; only a sidecar that hangs gets less, by its liveness probe
  for (const file of globSync('deploy/{kubernetes,helm}/**/*.{yaml,tpl}')) {
    const manifest = readFileSync(file, 'utf8').replaceAll(LIVENESS_PROBE, '');
    assert.doesNotMatch(manifest, /terminationGracePeriodSeconds/, file);
  }
});
