// exec: what happens to the command when its token is renewed, replaced or lost.

import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { DevVault } from '../../src/dev/vault.ts';
import { until } from '../support/settling.ts';
import { type Started, startProgram } from '../support/started.ts';
import { type ExecWorld, LISTENING, openExecWorld } from './exec-world.ts';

/** A renewal is due every second. */
const SHORT = { token_ttl: 2 };

const count = ({ requests }: DevVault, path: string) => requests.filter((one) => one.path.endsWith(path)).length;

/** Revokes the token, so that the next renewal leads to a login; returns the new token. */
async function replaceToken({ vault, tokenFile }: ExecWorld, old: string): Promise<string> {
  vault.revoke(old);
  return until('a new token', async () => {
    const now = await readFile(tokenFile, 'utf8').catch(() => old);
    return now !== old && now;
  });
}

const firstToken = async ({ says }: Started): Promise<string> => (await says(/^up (\S+)/))[1] ?? '';

test('a renewal changes nothing for the command, whatever --on-new-token says', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const programs = ['restart', 'hup'].map((action) => world.listen({ flags: ['--on-new-token', action] }));
  const tokens = await Promise.all(programs.map(firstToken));
  const before = count(world.vault, '/renew-self');
  await until('six renewals', () => count(world.vault, '/renew-self') >= before + 6);
  for (const [index, { out, err }] of programs.entries())
    assert.deepEqual([out().trim(), err()], [`up ${tokens[index]}`, '']);
});

test('by default, a new JWT leads to no login, and a new token to a line on stderr', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const program = world.listen();
  const token = await firstToken(program);
  await world.writeJwt();
  const before = count(world.vault, '/renew-self');
  await until('three renewals', () => count(world.vault, '/renew-self') >= before + 3);
  assert.equal(count(world.vault, '/login'), 1);
  await replaceToken(world, token);
  await until('the line', () => program.err().includes('exchange app: command outdated: The command keeps its old'));
  assert.equal(program.out().trim(), `up ${token}`);
});

test("exec's own lines leave the pipes of the command blocking, as programs expect", async (t) => {
  const world = await openExecWorld(t, SHORT);
  const script = 'echo "up $VAULT_TOKEN"; read _; cat /proc/self/fdinfo/1 /proc/self/fdinfo/2';
  // pipes of a shell, since Node's own are sockets
  const piped = ['sh', '-c', '{ "$@" 2>&1 >&3 | cat >&2; } 3>&1 | cat', 'sh', ...world.line(['sh', '-c', script])];
  const program = startProgram(t, piped);
  await replaceToken(world, await firstToken(program));
  await until('the line', () => program.err().includes('command outdated'));
  program.child.stdin?.write('go\n');
  assert.equal(await program.ended(), 0);
  const modes = [...program.out().matchAll(/^flags:\s+(\d+)/gm)].map(([, octal = '']) => Number.parseInt(octal, 8));
  assert.deepEqual(
    modes.map((mode) => mode & constants.O_NONBLOCK),
    [0, 0],
  );
});

test('with a signal, the command gets it after the file holds the new token, also after a new JWT', async (t) => {
  const world = await openExecWorld(t);
  const program = world.listen({ flags: ['--on-new-token', 'SIGUSR1'], env: { TOKEN_FILE: world.tokenFile } });
  const first = await firstToken(program);
  await world.writeJwt();
  const [, second = ''] = await program.says(/^SIGUSR1 (\S+)$/m);
  assert.notEqual(second, first);
  assert.equal(second, await readFile(world.tokenFile, 'utf8'));
});

test('with restart, the command ends and starts again with the new token', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const program = world.listen({ flags: ['--on-new-token', 'restart'], env: { END_AT: 'SIGTERM' } });
  const first = await firstToken(program);
  const second = await replaceToken(world, first);
  await program.says(new RegExp(`^up ${first}\nSIGTERM \nup ${second}\n`));
  program.child.kill('SIGTERM');
  assert.equal(await program.ended(), 5, 'the end of a later one is the end');
  assert.deepEqual(world.vault.alive(), []);
  assert.match(program.err(), /^vault-token-sidecar: exchange app: command restarting$/m);
});

test('a command that is asked to end while it restarts is not started again', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const program = world.listen({ flags: ['--on-new-token', 'restart'], env: { END_AT: 'SIGQUIT' } });
  await replaceToken(world, await firstToken(program));
  await program.says(/SIGTERM/);
  program.child.kill('SIGQUIT');
  assert.equal(await program.ended(), 5);
  assert.equal(program.out().match(/^up/gm)?.length, 1);
});

test('a command that ignores SIGTERM is killed for its restart after 10 s', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const program = world.listen({ flags: ['--on-new-token', 'restart'] });
  await replaceToken(world, await firstToken(program));
  await program.says(/SIGTERM/);
  const startedAt = performance.now();
  await until('it starts again', () => program.out().match(/^up/gm)?.length === 2, 15_000);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs > 9000 && tookMs < 14_000, `${tookMs} ms`);
});

test('a lost token is a line on stderr, and the command goes on', async (t) => {
  const world = await openExecWorld(t, SHORT);
  const program = startProgram(t, world.line(LISTENING), { END_AT: 'SIGTERM' });
  await firstToken(program);
  world.vault.setSealed(true);
  await until('the line', () =>
    /exchange app: not ready: the Vault token has expired: Vault is sealed/.test(program.err()),
  );
  program.child.kill('SIGTERM');
  assert.equal(await program.ended(), 5);
});

test('names the accessor of a token that could not be revoked', async (t) => {
  const world = await openExecWorld(t);
  const program = world.listen({ env: { END_AT: 'SIGTERM' } });
  const token = await firstToken(program);
  const accessor = world.vault.alive()[0]?.accessor;
  world.vault.setSealed(true);
  program.child.kill('SIGTERM');
  assert.equal(await program.ended(), 5);
  assert.match(
    program.err(),
    new RegExp(`^exchange app: the Vault token with accessor ${accessor} was not revoked$`, 'm'),
  );
  assert.ok(!program.err().includes(token));
});
