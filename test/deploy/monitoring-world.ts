// A real Vault, and two sidecars as processes: web-0 with short leases, whose parts a test breaks, and web-1 with a lease of an
// hour, whose parts stay whole.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { listenOn } from '../../src/dev/listen.ts';
import { type SidecarProcess, startSidecar } from '../faults/sidecar-process.ts';
import { reservePort } from '../support/ports.ts';
import { scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import { openRealVault, type RealVault } from '../vault/real-vault.ts';

/** The lease of web-0: short, so that it ends soon after Vault fails. */
const LEASE_SECONDS = 14;
/** The life of its JWTs: longer than the run. */
export const JWT_SECONDS = 240;
const SECRET = 'of-the-callers';

export async function openMonitoredWorld(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const issuer = await openIssuer();
  scopeOf(t).after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/auth/jwt', { type: 'jwt' });
  await vault.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
  for (const [role, token_ttl] of Object.entries({ short: `${LEASE_SECONDS}s`, long: '1h' }))
    await vault.write(`auth/jwt/role/${role}`, { ...ROLE, token_ttl });
  const front = await openFront(t, vault);

  /** @returns when it expires, in epoch seconds */
  async function writeJwt(ttlSeconds: number, name = 'jwt'): Promise<number> {
    const exp = Math.floor(Date.now() / 1000) + ttlSeconds;
    await replaceByRename(here(name), await issuer.mint({ exp }));
    return exp;
  }
  await Promise.all([writeJwt(JWT_SECONDS), writeJwt(3600, 'other-jwt')]);
  const callerToken = {
    write: () => writeFile(here('caller'), SECRET, { mode: 0o600 }),
    remove: () => rm(here('caller')),
  };
  await callerToken.write();
  await mkdir(here('shared'));

  const sinkOf = (name: string) => ({ file: { path: here(name) } });
  const hook = { command: ['/bin/sh', '-c', `test ! -e ${here('hook-fails')}`] };
  const broken = await configure(here('web-0.json'), front.url, {
    source: { file: { path: here('jwt') } },
    login: { role: 'short' },
    sinks: [{ file: { path: here('token'), on_change: hook } }, sinkOf('shared/token')],
    proxy: { listen: `127.0.0.1:${await reservePort()}` },
    callerTokenFile: here('caller'),
  });
  const whole = await configure(here('web-1.json'), vault.url, {
    source: { file: { path: here('other-jwt') } },
    login: { role: 'long' },
    sinks: [sinkOf('other-token')],
  });

  async function start({ file, ops }: Configured): Promise<SidecarProcess> {
    const sidecar = await startSidecar(t, file);
    await until('it is ready', () => isReady(ops), 30_000);
    return sidecar;
  }

  return {
    vault,
    front,
    writeJwt,
    callerToken,
    broken,
    whole,
    start,
    hook: {
      fail: () => writeFile(here('hook-fails'), ''),
      mend: () => rm(here('hook-fails')),
    },
    sink: {
      remove: () => rm(here('shared'), { recursive: true }),
      restore: () => mkdir(here('shared')),
    },
    /** Sends requests to the proxy and to the token API of web-0, as its application would. Their answers don't matter. */
    async beClient() {
      const headers = { 'x-vault-request': 'true', authorization: `Bearer ${SECRET}` };
      const asked = [
        fetch(`${broken.proxy}/v1/auth/token/lookup-self`),
        fetch(`${broken.proxy}/v1/sys/policies/acl/default`),
        fetch(`${broken.proxy}/v1/sys/capabilities-self`, { method: 'POST', body: '{"paths":["secret/app"]}' }),
        fetch(`${broken.api}/v1/token`, { headers }),
      ];
      await Promise.allSettled(asked.map(async (reply) => (await reply).arrayBuffer()));
    },
  };
}

const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: 'vault' };

const isReady = (ops: string): Promise<boolean> =>
  fetch(`${ops}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

/** Opens a way to Vault that can give its answers another date, as a Vault with a wrong clock would. */
async function openFront(t: TestContext, vault: RealVault) {
  let behindMs = 0;
  const { url, close } = await listenOn({}, async ({ method, path, headers, body }) => {
    const token = String(headers['x-vault-token'] ?? '');
    const wish = body === '' ? undefined : JSON.parse(body);
    const answer = await vault.call(method, path.replace('/v1/', ''), wish, { 'x-vault-token': token });
    const date = new Date(Date.now() - behindMs).toUTCString();
    return { status: answer.status, body: answer.body, headers: { date } };
  });
  scopeOf(t).after(close);
  return {
    url,
    setClockBehind(seconds: number) {
      behindMs = seconds * 1000;
    },
  };
}

type Configured = Awaited<ReturnType<typeof configure>>;

/** Writes a config with ports that outlast a restart. */
async function configure(
  file: string,
  address: string,
  { callerTokenFile, ...app }: Record<string, unknown> & { callerTokenFile?: string; proxy?: { listen: string } },
) {
  const [api, ops] = [`127.0.0.1:${await reservePort()}`, `127.0.0.1:${await reservePort()}`];
  const caller = callerTokenFile === undefined ? {} : { caller_token_file: callerTokenFile };
  const config = { vault: { address }, exchanges: { app }, api: { listen: api, ...caller }, ops: { listen: ops } };
  await writeFile(file, JSON.stringify(config));
  return { file, api: `http://${api}`, ops: `http://${ops}`, proxy: `http://${app.proxy?.listen}` };
}
