// A real Vault or OpenBao server on loopback, initialised and unsealed, with storage that survives restarts.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reservePorts } from '../support/ports.ts';
import { type Scope, scopeOf } from '../support/scope.ts';
import { until } from '../support/settling.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { type AdminVault, adminOf } from './admin.ts';
import { findVault } from './find-vault.ts';

export interface RealVaultOptions {
  /** PEM files; plain HTTP if absent */
  readonly tls?: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly caFile: string;
    readonly name?: string;
  };
  /** overrides for the server's config, such as another storage */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly port?: number;
  /** the leader of the raft cluster to join, instead of initialising the server */
  readonly joins?: RealVault;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface RealVault extends AdminVault {
  readonly directory: string;
  unsealKey: string;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Sends SIGKILL; the storage stays. */
  kill(): Promise<void>;
  /** Starts and unseals it after a kill; `ca` is the CA of a changed certificate. */
  start(ca?: string): Promise<void>;
  /** Starts on empty storage after a kill. */
  startEmpty(): Promise<void>;
  /** the entries of the audit log, in order */
  auditLog(): readonly AuditEntry[];
  /** the paths of the requests in the audit log, in order */
  audited(): readonly string[];
}

export interface AuditEntry {
  readonly type: 'request' | 'response';
  /** RFC 3339 */
  readonly time: string;
  readonly request: {
    readonly id: string;
    readonly operation: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, readonly string[]>>;
    readonly remote_address: string;
  };
}

export async function openRealVault(t: Scope, options: RealVaultOptions = {}): Promise<RealVault> {
  const directory = await temporaryDirectory(t);
  const port = options.port ?? (await reservePorts(2));
  const scheme = options.tls === undefined ? 'http' : 'https';
  const url = `${scheme}://127.0.0.1:${port}`;
  const audit = join(directory, 'audit.log');
  await writeFile(join(directory, 'vault.json'), JSON.stringify(serverConfig(directory, { port, url, ...options })));
  const connectWith = (ca?: string) => {
    if (options.tls === undefined) return {};
    const { caFile, name } = options.tls;
    return { ca: ca ?? readFileSync(caFile, 'utf8'), ...(name === undefined ? {} : { servername: name }) };
  };
  const admin = adminOf(url, connectWith());
  let child: ChildProcess | undefined;

  async function launch(): Promise<void> {
    await mkdir(join(directory, 'storage'), { recursive: true });
    const spawned = spawn(findVault(), ['server', '-config', join(directory, 'vault.json'), '-log-level=error'], {
      stdio: 'ignore',
      env: { ...process.env, ...options.environment },
    });
    child = spawned;
    await until(
      'Vault answers',
      () =>
        admin.call('GET', 'sys/seal-status').then(
          () => true,
          () => false,
        ),
      30_000,
    );
  }

  async function initialise(): Promise<void> {
    const { body } = await admin.write('sys/init', { secret_shares: 1, secret_threshold: 1 });
    vault.unsealKey = (body['keys_base64'] as string[])[0] ?? '';
    admin.root = String(body['root_token']);
    await vault.unseal();
    await admin.write('sys/audit/file', { type: 'file', options: { file_path: audit } });
  }

  async function joinCluster(leader: RealVault): Promise<void> {
    await admin.write('sys/storage/raft/join', { leader_api_addr: leader.url });
    admin.root = leader.root;
    await vault.unseal();
  }

  const vault: RealVault = Object.assign(admin, {
    directory,
    unsealKey: options.joins?.unsealKey ?? '',
    seal: async () => void (await admin.write('sys/seal', {})),
    async unseal() {
      // send the key only once: a second one fails while the node joins a cluster
      await admin.write('sys/unseal', { key: vault.unsealKey });
      // joining a cluster takes half a minute, longer on a busy machine
      await until('it serves', () => serves(vault, options.joins !== undefined), 90_000);
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async start(ca?: string) {
      if (ca !== undefined) Object.assign(vault, { call: adminOf(url, connectWith(ca), vault.root).call });
      await launch();
      await vault.unseal();
    },
    async startEmpty() {
      await rm(join(directory, 'storage'), { recursive: true });
      await launch();
      await initialise();
    },
    auditLog: () =>
      readFileSync(audit, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    audited: () =>
      vault
        .auditLog()
        .filter(({ type }) => type === 'request')
        .map(({ request }) => request.path),
  });
  scopeOf(t).after(() => vault.kill());
  await launch();
  if (options.joins === undefined) await initialise();
  else await joinCluster(options.joins);
  return vault;
}

/** Whether it serves requests, as the active node or as a standby that forwards them. */
async function serves(admin: AdminVault, asStandby: boolean): Promise<boolean> {
  const { status } = await admin.call('GET', 'sys/health');
  return status === 200 || (asStandby && status === 429);
}

function serverConfig(
  directory: string,
  { port, url, tls, config }: RealVaultOptions & { port: number; url: string },
): object {
  const files = tls === undefined ? { tls_disable: true } : { tls_cert_file: tls.certFile, tls_key_file: tls.keyFile };
  return {
    storage: { file: { path: join(directory, 'storage') } },
    listener: [{ tcp: { address: `127.0.0.1:${port}`, ...files } }],
    disable_mlock: true,
    // OpenBao needs this to enable the audit device; Vault ignores it
    unsafe_allow_api_audit_creation: true,
    api_addr: url,
    // the listener for other nodes, on the next port
    cluster_addr: `https://127.0.0.1:${port + 1}`,
    ...config,
  };
}
