// From a private issuer to a secret: each test runs exactly what `init` prints, against real Vaults and a publisher that works as
// oidc.pub does. The transcripts are part of the documentation.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openIssuer } from '../../src/dev/issuer.ts';
import { reservePorts } from '../support/ports.ts';
import { assertTranscript } from '../support/transcripts.ts';
import { openPublisher, type Publisher } from './publisher.ts';
import { openRealVault, type RealVault } from './real-vault.ts';
import { commandOf, jobScript, openRoad, type Road } from './road.ts';
import { k8sClaims } from './scenarios.ts';

const TRANSCRIPTS = join(import.meta.dirname, '../../docs/transcripts');

const assertRoad = ({ transcript }: Road, name: string): void =>
  assertTranscript(join(TRANSCRIPTS, `${name}.txt`), transcript.slice(0, -1));

/** A Vault with a secret engine, whose system CAs include the publisher's. */
async function openVault(t: TestContext, { environment, ca }: Publisher, road?: Road): Promise<RealVault> {
  const vault = await openRealVault(t, { environment: { ...environment, SSL_CERT_FILE: ca.file } });
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  road?.show(vault.url, 'https://vault.example.com:8200');
  return vault;
}

async function logInAsOperator(road: Road, vault: RealVault, secret: string): Promise<void> {
  road.show(vault.root, 'hvs...');
  await road.run(`export VAULT_ADDR=${vault.url}`);
  await road.run(`export VAULT_TOKEN=${vault.root}`);
  await road.run(`vault kv put -field=version secret/${secret} greeting=hello`);
}

/** Runs the daemon, and reads the secret with its token. */
async function readWithToken(road: Road, config: string, secret: string): Promise<void> {
  const [api, ops] = [await reservePorts(1), await reservePorts(1)];
  await road.place(config, { '"ops": {\n    "listen": "0.0.0.0:8276"\n  }': '"log": {}' });
  const { exchanges, vault } = JSON.parse(await readFile(join(road.directory, config), 'utf8'));
  const listeners = { api: { listen: `127.0.0.1:${api}` }, ops: { listen: `127.0.0.1:${ops}` } };
  await writeFile(join(road.directory, config), JSON.stringify({ vault, exchanges, ...listeners }));
  await road.run(`vault-token-sidecar doctor --config ${config}`);
  await road.run(`vault-token-sidecar run --config ${config} > sidecar.log 2>&1 & echo $! > sidecar.pid`);
  await road.run(`vault-token-sidecar wait --config ${config}`);
  assert.equal(await road.run(`VAULT_TOKEN=$(cat token) vault kv get -field=greeting secret/${secret}`), 'hello');
  await road.run('kill "$(cat sidecar.pid)"');
}

test('Kubernetes: from the private issuer to the secret', async (t) => {
  const publisher = await openPublisher(t);
  const issuer = await openIssuer({ issuer: 'https://k8s-prod.oidc.pub' });
  t.after(() => issuer.close());
  const road: Road = await openRoad(t, publisher, async (command) => {
    if (command.startsWith('kubectl set env deployment/oidcpub-sync'))
      await publisher.follow('k8s-prod.oidc.pub', issuer.url);
    if (command.startsWith('kubectl apply'))
      await writeFile(join(road.directory, 'jwt'), await issuer.mint(k8sClaims()));
    return '';
  });
  const vault = await openVault(t, publisher, road);
  await logInAsOperator(road, vault, 'my-app');
  const parts = await road.init(`kubernetes --issuer k8s-prod --service-account my-app --vault-address ${vault.url}`);
  for (const command of parts.map(commandOf).filter(Boolean)) await road.run(command);
  await road.run('vault-token-sidecar setup --config config.json --apply --yes');
  // this machine stands for the pod
  await road.place('config.json', {
    '/var/run/secrets/oidc/token': join(road.directory, 'jwt'),
    '/vault/token': join(road.directory, 'token'),
  });
  await readWithToken(road, 'config.json', 'my-app');
  assertRoad(road, 'kubernetes');
});

test('GitLab CI: from the private issuer to the secret', async (t) => {
  const publisher = await openPublisher(t);
  const issuer = await openIssuer({ issuer: 'https://gitlab.oidc.pub' });
  t.after(() => issuer.close());
  const road: Road = await openRoad(t, publisher, async (command) => {
    if (command.startsWith('oidcpub service sync')) await publisher.follow('gitlab.oidc.pub', issuer.url);
    return '';
  });
  const vault = await openVault(t, publisher, road);
  await logInAsOperator(road, vault, 'app');
  const parts = await road.init(`gitlab --issuer gitlab --project mygroup/myproject --vault-address ${vault.url}`);
  for (const part of parts) {
    const command = commandOf(part);
    if (part.includes('# oidcpub-sync:')) for (const line of jobScript(part)) await road.run(line);
    if (command !== '') await road.run(command);
  }
  const sub = 'project_path:mygroup/myproject:ref_type:branch:ref:main';
  const jwt = await issuer.mint({ aud: 'https://gitlab.oidc.pub', sub });
  road.show(jwt, 'eyJ...');
  await road.run(`export VAULT_ID_TOKEN=${jwt}`);
  await road.run('unset VAULT_TOKEN');
  const job = jobScript(parts.find((part) => part.includes('# deploy:')) ?? '').join('\n');
  await road.place('config.json', { '/tmp/vault/': `${road.directory}/` });
  const script = join(road.directory, 'deploy.sh');
  await writeFile(script, '#!/bin/sh\nvault kv get secret/app\n', { mode: 0o755 });
  const out = await road.run(job.replaceAll('/tmp/vault', road.directory));
  assert.match(out, /greeting +hello$/m);
  assertRoad(road, 'gitlab');
});

test('another Vault: from the private issuer to the secret', async (t) => {
  const publisher = await openPublisher(t);
  const source = await openRealVault(t);
  const road: Road = await openRoad(t, publisher, async (command) => {
    if (command.startsWith('docker run')) await publisher.follow('vault-prod.oidc.pub', sourceIn(command));
    return '';
  });
  road.show(source.url, 'https://vault.source.example:8200');
  road.show(source.root, 'hvs.source...');
  const vault = await openVault(t, publisher, road);
  await logInAsOperator(road, vault, 'app');
  const onSource = `VAULT_ADDR=${source.url} VAULT_TOKEN=${source.root}`;
  await road.run(`${onSource} vault auth enable userpass`);
  await road.run(`${onSource} vault write auth/userpass/users/sidecar password=example token_policies=federation`);
  await road.run(
    `VAULT_ADDR=${source.url} vault login -method=userpass -no-store -token-only username=sidecar password=example > source-token`,
  );
  const id = await road.run(
    `VAULT_ADDR=${source.url} VAULT_TOKEN=$(cat source-token) vault read -field=entity_id auth/token/lookup-self`,
  );
  const parts = await road.init(
    `vault --issuer vault-prod --entity-id ${id} --source-address ${source.url} --vault-address ${vault.url}`,
  );
  for (const command of parts.map(commandOf).filter(Boolean)) {
    await road.run(command);
    if (command === `export VAULT_ADDR=${source.url}`) await road.run(`export VAULT_TOKEN=${source.root}`);
    if (command === `export VAULT_ADDR=${vault.url}`) await road.run(`export VAULT_TOKEN=${vault.root}`);
  }
  await road.run('vault-token-sidecar setup --config config.json --apply --yes');
  await road.place('config.json', {
    '/run/vault-source/token': join(road.directory, 'source-token'),
    '/run/vault/token': join(road.directory, 'token'),
  });
  await readWithToken(road, 'config.json', 'app');
  assertRoad(road, 'vault');
});

/** Returns the source of the documents in the sync worker's command. */
const sourceIn = (command: string): string => /OIDC_SOURCE_URL=(\S+)/.exec(command)?.[1] ?? '';
