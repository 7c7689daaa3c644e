// The parents of a sink's directory: a user who can replace one of them could steal the token, so unsafe ones are
// refused.

import assert from 'node:assert/strict';
import { chmod, chown, lchown, mkdir, readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import { openFileSink } from '../../src/sinks/file.ts';
import { runInNamespace, runUnprivileged, withoutNamespaces } from '../support/confined.ts';
import { PLACE } from '../support/place.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const ROOT = { skip: process.getuid?.() !== 0 && 'only root may give files away' };
const STRANGER = 12_345;

async function setUp(t: TestContext) {
  const directory = await temporaryDirectory(t);
  const at = (...names: string[]) => join(directory, ...names);
  await mkdir(at('volume', 'app', 'secrets'), { recursive: true });
  const sink = openFileSink({ kind: 'file', path: at('volume/app/secrets/token'), mode: 0o600, format: 'raw' });
  const rest = {
    exchange: 'app',
    place: PLACE,
    accessor: 'a',
    issuedAt: 0,
    expiresAt: 0,
    renewable: true,
    policies: [],
  };
  /** 'written', or the evidence without the test's own directory */
  const outcome = (of = sink) =>
    of.deliver({ ...rest, secret: new Secret('hvs.CAESIexample') }).then(
      () => 'written',
      (error) => {
        assert.ok(error instanceof ExchangeError, String(error));
        assert.equal(error.failure.code, 'sink_directory_unsafe');
        return explain(error.failure).evidence?.replace(`${directory}/`, '');
      },
    );
  return { at, sink, outcome };
}

test('every operation of the sink refuses a parent that another user owns, with its path (K14)', ROOT, async (t) => {
  const { at, sink, outcome } = await setUp(t);
  assert.equal(await outcome(), 'written');
  for (const name of ['volume', 'volume/app']) {
    // the number that stands for users outside of a namespace is a user like any other outside of one
    for (const uid of [STRANGER, 65_534]) {
      await chown(at(name), uid, 0);
      assert.equal(await outcome(), `${name} is owned by user ${uid}`);
    }
    await assert.rejects(sink.check(), ExchangeError);
    await assert.rejects(sink.remove(), ExchangeError);
    await chown(at(name), 0, 0);
  }
  assert.equal(await readFile(at('volume/app/secrets/token'), 'utf8'), 'hvs.CAESIexample');
});

test('refuses a parent that others can write to, unless it is sticky (K14)', async (t) => {
  const { at, outcome } = await setUp(t);
  for (const [mode, expected] of [
    [0o757, 'volume/app is world-writable'],
    [0o1777, 'written'],
    [0o3777, 'written'],
    [0o755, 'written'],
  ] as const) {
    await chmod(at('volume/app'), mode);
    assert.equal(await outcome(), expected, mode.toString(8));
  }
});

test(
  "a parent that a group may write to is refused, unless it is sticky or the group is the owner's own (K14)",
  ROOT,
  async (t) => {
    const { at, outcome } = await setUp(t);
    for (const [gid, mode, expected] of [
      [STRANGER, 0o2775, 'volume/app is group-writable'],
      [STRANGER, 0o3775, 'written'],
      [STRANGER, 0o2755, 'written'],
      [0, 0o775, 'written'],
    ] as const) {
      await chown(at('volume/app'), 0, gid);
      await chmod(at('volume/app'), mode);
      assert.equal(await outcome(), expected, mode.toString(8));
    }
  },
);

test('accepts a group-writable volume, as kubelet creates it for fsGroup (K14)', ROOT, async (t) => {
  const { at, outcome } = await setUp(t);
  await chown(at('volume/app/secrets'), 0, STRANGER);
  for (const mode of [0o2775, 0o3777]) {
    await chmod(at('volume/app/secrets'), mode);
    assert.equal(await outcome(), 'written');
  }
});

test(
  "a component that is swapped for somebody's link is refused by name; root's own links are followed (K14)",
  ROOT,
  async (t) => {
    const { at, outcome } = await setUp(t);
    assert.equal(await outcome(), 'written');
    await rename(at('volume/app'), at('volume/moved'));
    for (const target of ['moved', at('volume/moved'), '../volume/./moved', '../volume/moved/secrets/..']) {
      await symlink(target, at('volume/link'));
      await rename(at('volume/link'), at('volume/app'));
      assert.equal(await outcome(), 'written', target);
    }
    await lchown(at('volume/app'), STRANGER, STRANGER);
    assert.equal(await outcome(), `volume/app is a symlink owned by user ${STRANGER}`);
  },
);

test('checks the directory of a link and all directories on the way to its target (K14)', ROOT, async (t) => {
  const { at, outcome } = await setUp(t);
  await mkdir(at('elsewhere/open/secrets'), { recursive: true });
  await chmod(at('elsewhere/open'), 0o757);
  await symlink(at('elsewhere/open'), at('volume/link'));
  const through = (name: string) => {
    const path = at('volume', name, 'secrets', 'token');
    return outcome(openFileSink({ kind: 'file', path, mode: 0o600, format: 'raw' }));
  };
  assert.equal(await through('link'), 'elsewhere/open is world-writable');
  await chmod(at('elsewhere/open'), 0o755);
  assert.equal(await through('link'), 'written');
  await chmod(at('elsewhere'), 0o777);
  assert.equal(await through('link'), 'elsewhere is world-writable');
});

test('refuses a loop of links (K14)', async (t) => {
  const { at } = await setUp(t);
  await symlink('loop', at('loop'));
  const sink = openFileSink({ kind: 'file', path: at('loop/secrets/token'), mode: 0o600, format: 'raw' });
  await assert.rejects(sink.check(), {
    failure: { code: 'sink_failed', facts: { kind: 'file', path: sink.id, errno: 'ELOOP' } },
  });
});

test("accepts parents of root and of the sidecar's own user", async (t) => {
  const directory = await temporaryDirectory(t);
  const output = runUnprivileged(
    directory,
    `
    import { chmodSync, mkdirSync } from 'node:fs';
    import { Secret } from './src/core/secret.ts';
    import { openFileSink } from './src/sinks/file.ts';
    // search without reading is enough of a parent
    mkdirSync(directory + '/home/app', { recursive: true });
    chmodSync(directory + '/home', 0o311);
    const sink = openFileSink({ kind: 'file', path: directory + '/home/app/token', mode: 0o600, format: 'raw' });
    const say = () => sink.deliver({ secret: new Secret('hvs.CAESIexample') }).then(({ written }) => written, (error) => error.message);
    console.log(await say());
    chmodSync(directory + '/home', 0o755);`,
  );
  assert.equal(output, 'true');
});

test('user 65534 is a stranger where there is such a user, and may be root outside where there is none (K14)', {
  skip: ROOT.skip || withoutNamespaces(),
}, async (t) => {
  const { at, outcome } = await setUp(t);
  await chown(at('volume/app'), 65_534, 65_534);
  assert.equal(await outcome(), 'volume/app is owned by user 65534');
  await chown(at('volume/app'), STRANGER, STRANGER);
  const output = runInNamespace(
    at('volume/app/secrets'),
    'true',
    `
    import { Secret } from './src/core/secret.ts';
    import { openFileSink } from './src/sinks/file.ts';
    const sink = openFileSink({ kind: 'file', path: directory + '/token', mode: 0o600, format: 'raw' });
    const say = () => sink.deliver({ secret: new Secret('hvs.CAESIexample') }).then(({ written }) => written, (error) => error.message);
    console.log(await say());`,
  );
  assert.equal(output, 'true');
});
