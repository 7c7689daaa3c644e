// What each platform allows for a stop, against the 5 s that the sidecar may take.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** The stop's budget, after which the process ends anyway. */
const STOP_SECONDS = 5;
/** Compose's default. */
const COMPOSE_SECONDS = 10;

test('no deployment ends the sidecar before its stop is over', () => {
  const unit = readFileSync('deploy/systemd/vault-token-sidecar@.service', 'utf8');
  assert.ok(Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]) > STOP_SECONDS);
  const [, sidecar = ''] =
    /^ {2}token-sidecar:$([\s\S]*?)^ {2}\w/m.exec(readFileSync('deploy/compose/compose.yaml', 'utf8')) ?? [];
  assert.ok(sidecar.includes('command: [run'));
  const seconds = Number(/stop_grace_period: (\d+)s/.exec(sidecar)?.[1] ?? COMPOSE_SECONDS);
  assert.ok(seconds > STOP_SECONDS);
  // Kubernetes has 30 s unless a pod says otherwise
  for (const file of globSync('deploy/{kubernetes,helm}/**/*.{yaml,tpl}'))
    assert.doesNotMatch(readFileSync(file, 'utf8'), /terminationGracePeriodSeconds/, file);
});
