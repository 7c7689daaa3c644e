// Vault gets a certificate of another CA while the sidecar runs: logins back off, and a new CA file ends the backoff.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer } from 'node:tls';
import { makeCa } from '../support/certificates.ts';
import { listen } from '../support/listening.ts';
import { until } from '../support/settling.ts';
import { openPeers, runDaemon } from '../support/sidecar.ts';
import { replaceByRename } from '../support/temporary.ts';

test("keeps the token while Vault's CA is unknown, and uses the new CA file within 10 s (E2, E4)", async (t) => {
  const peers = await openPeers(t);
  const [old, next] = [makeCa(peers.directory, 'old'), makeCa(peers.directory, 'next')];
  const caFile = join(peers.directory, 'trusted.pem');
  await writeFile(caFile, old.cert);
  const server = createServer(old.issue(), (socket) => {
    const vault = connect(Number(new URL(peers.vault.url).port), '127.0.0.1');
    socket.pipe(vault).pipe(socket);
    vault.on('error', () => socket.destroy());
  });
  const address = `https://127.0.0.1:${await listen(t, server)}`;
  await peers.writeJwt();
  const { daemon, stop } = await runDaemon(t, { ...peers.config(), vault: { address, tls: { ca_file: caFile } } });
  const view = daemon.exchanges.views()[0];
  const first = await until('a token', () => view?.token()?.secret.reveal());
  server.setSecureContext(next.issue());
  await peers.writeJwt();
  // longer than 10 s, so that only the new file can end it in time
  const failure = await until(
    'a long backoff',
    () => {
      const { failure } = view?.status() ?? {};
      return failure?.code === 'vault_tls' && (failure.retryAt ?? 0) - Date.now() > 12_000 && failure;
    },
    60_000,
  );
  assert.match(failure.evidence ?? '', /signed by an unknown CA/);
  assert.equal(view?.token()?.secret.reveal(), first);
  const replacedAt = performance.now();
  await replaceByRename(caFile, next.cert);
  await until('another token', () => view?.token()?.secret.reveal() !== first, 10_000);
  t.diagnostic(`${Math.round(performance.now() - replacedAt)} ms after the new file`);
  await stop();
});
