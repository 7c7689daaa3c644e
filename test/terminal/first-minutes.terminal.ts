// A newcomer's first ten minutes with the program, recorded in terminal windows: how the commands look and what they say. The
// transcripts and the README's pictures show it; recordings.ts says how to rewrite them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { between, type Line, textOf, withoutDurations, withStableNames } from './lines.ts';
import { assertPictured, assertRecorded } from './recordings.ts';
import { openWindow } from './window.ts';

const INIT = 'vault-token-sidecar init kubernetes';
/** With this, each login of the demo finds room in the budget of logins in the same scene. */
const EVERY = '3.2s';

const textOfAll = (lines: readonly Line[]): string => lines.map(textOf).join('\n');

describe("a newcomer's first minutes", () => {
  test('the help, a mistyped command, a config and a mistyped key', async (t) => {
    const home = await temporaryDirectory(t);
    const { run, lines } = await openWindow(t, home);
    await run('vault-token-sidecar');
    await run('vault-token-sidecar help run');
    await run('vault-token-sidecar rnu');
    await run('vault-token-sidecar init');
    await run(`${INIT} --issuer k8s-prod --service-account my-app --vault-address https://vault.example.com:8200`);
    await run('vault-token-sidecar validate --config config.json');
    await run(`sed -i 's/"source"/"sorce"/' config.json`);
    await run('vault-token-sidecar validate --config config.json');
    await run('vault-token-sidecar run');
    assertRecorded('first-commands', withStableNames(lines(), home));
  });

  test('the demo: a rotation, an outage of Vault, a wrong JWT and the end', async (t) => {
    const home = await temporaryDirectory(t);
    const { start, interrupt, lines } = await openWindow(t, home);
    await start(`vault-token-sidecar dev --every ${EVERY}`, /the right one:\n[\s\S]*logged in(?:[\s\S]*-> file){2}/);
    await interrupt();
    assert.doesNotMatch(textOfAll(lines()), SECRET_TEXT);
    const shown = withStableNames(lines(), home);
    assertRecorded('demo', shown);
    assertPictured(
      'dev',
      'vault-token-sidecar dev',
      between(shown, /^\d\d:.*issuer/, /The issuer writes a JWT for another/),
    );
  });

  test('what a second terminal shows of the sidecar in the demo, and why another config fails', async (t) => {
    const home = await temporaryDirectory(t);
    const demo = await openWindow(t, home);
    const { run, lines } = await openWindow(t, home);
    // nothing happens in the demo meanwhile
    await demo.start('vault-token-sidecar dev --every 10m', / ready /);
    const [, issuer, directory, vault, api, ops] =
      /issuer +(\S+),.*\n *(\S+)\/jwt\n *Vault +(\S+),[\s\S]* (\S+)\/v1\/token\n[\s\S]*--ops (\S+)/.exec(
        textOfAll(demo.lines()),
      ) ?? [];
    await run(`vault-token-sidecar status --ops ${ops}`);
    await run(`vault-token-sidecar status app --ops ${ops}`);
    await run(`vault-token-sidecar token --api ${api}`);
    await run(`cat ${directory}/token.json`);
    await run(`curl -s -H 'X-Vault-Request: true' ${api}/v1/token; echo`);
    await run(`curl -s ${ops}/readyz; echo`);
    await run(`curl -s ${ops}/metrics | grep 'ready{'`);
    const trust = `--issuer ${issuer} --service-account app --vault-address ${vault}`;
    await run(`${INIT} ${trust} --policy default --role ap > next-steps`);
    await run(`sed -i "s|/var/run/secrets/oidc/token|${directory}/jwt|; s|/vault/token|$PWD/token|" config.json`);
    await run(`export VAULT_ADDR=${vault} VAULT_TOKEN=dev-root`);
    await run('vault-token-sidecar doctor --config config.json');
    await demo.interrupt();
    await run(`vault-token-sidecar status --ops ${ops}`);

    const shown = withStableNames(lines(), home);
    assertRecorded('second-terminal', shown, withoutDurations);
    assertPictured('status', 'vault-token-sidecar status', between(shown, /^\$ .* status --ops/, /^\$ .* token /));
    assertPictured('doctor', 'vault-token-sidecar doctor', between(shown, /^\$ .* doctor /, /^\$ .* status /));
  });
});
