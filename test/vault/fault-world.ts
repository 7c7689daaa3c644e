// A sidecar with two sinks, an issuer, and a real Vault for tests of faults.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import { openIssuer } from '../../src/dev/issuer.ts';
import { until, untilChanged } from '../support/settling.ts';
import { runDaemon } from '../support/sidecar.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openRealVault, type RealVault, type RealVaultOptions } from './real-vault.ts';

export const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault', policies: 'app-read', ttl: '10m' };
/** V8: the maximum time from the end of a fault to the next token. */
export const RECOVERY_MS = 60_000;

export interface SetUpOptions {
  readonly firstJwt?: Record<string, unknown>;
  readonly role?: Record<string, unknown>;
  readonly server?: RealVaultOptions;
  readonly vaultSettings?: Record<string, unknown>;
  /** Vault's address in the sidecar's config */
  readonly addressOf?: (vault: RealVault) => Promise<string>;
}

export async function setUp(
  t: TestContext,
  { firstJwt = {}, role = {}, server = {}, vaultSettings = {}, addressOf }: SetUpOptions = {},
) {
  const directory = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t, server);
  const trust = async () => {
    await vault.write('sys/auth/jwt', { type: 'jwt' });
    await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
    await vault.write('auth/jwt/role/app', { ...ROLE, ...role });
  };
  await trust();
  const writeJwt = async (claims: Record<string, unknown> = {}) => {
    await replaceByRename(join(directory, 'jwt'), await issuer.mint(claims));
  };
  await writeJwt(firstJwt);
  const address = addressOf === undefined ? vault.url : await addressOf(vault);
  const config = (over: Record<string, unknown> = {}) => ({
    vault: { address, timeout: '2s', ...vaultSettings, ...over },
    exchanges: {
      app: {
        source: { file: { path: join(directory, 'jwt') } },
        login: { role: 'app' },
        sinks: ['token', 'other-token'].map((name) => ({ file: { path: join(directory, name) } })),
      },
    },
    api: { listen: '127.0.0.1:0' },
    ops: { listen: '127.0.0.1:0' },
  });
  const { daemon, log } = await runDaemon(t, config());
  const tokenNow = () => readFile(join(directory, 'token'), 'utf8').catch(() => undefined);
  const failure = () => daemon.exchanges.views()[0]?.status().failure;
  const failing = (...codes: ErrorCode[]) =>
    until(codes.join(), () => codes.includes(failure()?.code ?? 'internal') && failure(), 30_000);
  const another = (than: string | undefined, limitMs = RECOVERY_MS) =>
    untilChanged(join(directory, 'token'), than, limitMs);
  /** the times of an event's log lines */
  const times = (event: string) =>
    log
      .map((line) => JSON.parse(line))
      .filter((line) => line.event === event)
      .map(({ time }) => Date.parse(time));
  /** the total duration of all logins */
  const loginSeconds = async () => {
    const text = await (await fetch(`${daemon.ops}/metrics`)).text();
    return Number(/vault_request_duration_seconds_sum\{operation="login"\} (\S+)/.exec(text)?.[1]);
  };
  const count = (path: string) => vault.audited().filter((one) => one === path).length;
  return {
    directory,
    issuer,
    vault,
    trust,
    writeJwt,
    config,
    daemon,
    log,
    tokenNow,
    failing,
    another,
    times,
    loginSeconds,
    count,
  };
}

export type World = Awaited<ReturnType<typeof setUp>>;

/**
 * Checks that a login follows the refused renewal of a dead token within two seconds, plus the time that Vault takes
 * for the login, and that the new token is valid and in every sink.
 */
export async function replacesDeadToken(world: World, dead: string): Promise<void> {
  const { vault, directory, times, another, loginSeconds } = world;
  const before = await loginSeconds();
  const token = await another(dead);
  const lookUp = await vault.call('GET', 'auth/token/lookup-self', undefined, { 'x-vault-token': token });
  assert.equal(lookUp.status, 200);
  const denied = await until('the renewal fails', () => times('renewal_failed')[0]);
  const loggedIn = times('logged_in').find((at) => at >= denied) ?? Number.NaN;
  const took = (loggedIn - denied) / 1000;
  assert.ok(took <= 2 + (await loginSeconds()) - before, `${took} s from the denied renewal to the login`);
  const other = () => readFile(join(directory, 'other-token'), 'utf8');
  await until('it is in the other sink', async () => (await other()) === token, 2000);
}

/** Writes a new JWT during a fault; checks that the old token is kept, and that a new one comes after the fault. */
export async function survive(
  world: World,
  fault: { begin: () => unknown; codes: ErrorCode[]; end: () => unknown; recoversInMs?: number },
): Promise<void> {
  const { writeJwt, failing, another, tokenNow, daemon, count } = world;
  const first = await until('the first token', tokenNow);
  const startedAt = performance.now();
  await fault.begin();
  await writeJwt();
  const { hint } = await failing(...fault.codes);
  assert.ok(hint.length > 10);
  assert.equal(await tokenNow(), first, 'the old token stays');
  assert.equal((await fetch(`${daemon.ops}/readyz`)).status, 200, 'the exchange stays ready');
  await fault.end();
  await another(first, fault.recoversInMs);
  const minutes = Math.ceil((performance.now() - startedAt) / 60_000);
  assert.ok(count('auth/jwt/login') <= 12 * minutes, `${count('auth/jwt/login')} logins in ${minutes} min`);
}
