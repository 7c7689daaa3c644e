// A working setup that a test breaks in one place: an issuer, a Vault with its mount and role, a JWT, a config. And
// doctor.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { command as doctor } from '../../src/commands/doctor.ts';
import { command as setup } from '../../src/commands/setup.ts';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import type { DevVault } from '../../src/dev/vault.ts';
import type { Finding } from '../../src/doctor/diagnose/finding.ts';
import { type Report, renderReports } from '../../src/doctor/report.ts';
import { invoke, type Outcome } from '../support/invoke.ts';
import { cli } from '../support/program.ts';
import { SECRET_TEXT } from '../support/secret-text.ts';
import { replaceByRename, temporaryDirectory } from '../support/temporary.ts';
import type { AdminVault } from '../vault/admin.ts';

/** The Vault of a setup: a real one, or the one in memory with its faults. */
export interface Patient {
  readonly admin: AdminVault;
  /** a program with the commands of Vault's CLI */
  readonly cli: string;
  readonly caFile?: string;
  readonly memory?: { readonly vault: DevVault; setSkew(ms: number): void };
  unseal?(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests write invalid configs too
export type FreeConfig = any;

export interface Clinic extends Patient {
  readonly directory: string;
  readonly issuer: Issuer;
  readonly config: FreeConfig;
  /** the exchange of the config */
  readonly app: FreeConfig;
  /** other servers, closed at the end */
  readonly peers: { close(): Promise<void> }[];
  readonly here: (name: string) => string;
  writeJwt(claims?: Record<string, unknown>): Promise<string>;
  /** Changes the role. */
  writeRole(members: Record<string, unknown>): Promise<void>;
  /** Runs doctor in this process. */
  examine(env?: Record<string, string>): Promise<Examination>;
  /** Runs doctor as the built program. */
  examineBuilt(env?: Record<string, string>): Promise<Examination>;
  /** Runs a command that doctor printed. */
  paste(command: string): Promise<void>;
}

interface Examination {
  readonly code: number;
  readonly findings: readonly Finding[];
  readonly text: string;
}

const POLICY = 'path "secret/app" { capabilities = ["read"] }';

/** Opens a setup without faults. */
export async function openClinic(t: TestContext, patient: Patient): Promise<Clinic> {
  const directory = await temporaryDirectory(t);
  const here = (name: string) => join(directory, name);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const { admin, caFile } = patient;
  const app: FreeConfig = {
    source: { file: { path: here('jwt') } },
    login: { role: 'app' },
    expect: { issuer: issuer.issuer, audience: 'vault', subject: 'system:serviceaccount:default:app' },
    sinks: [{ file: { path: here('sink/token') } }],
    setup: { role: { token_policies: ['app-read'] }, policies: { 'app-read': POLICY } },
  };
  const config: FreeConfig = {
    vault: { address: admin.url, ...(caFile === undefined ? {} : { tls: { ca_file: caFile } }) },
    exchanges: { app },
    api: { listen: '127.0.0.1:0' },
    ops: { listen: '127.0.0.1:0' },
  };
  const writeConfig = () => writeFile(here('config.json'), JSON.stringify(config));
  await mkdir(here('sink'), { mode: 0o750 });
  await mkdir(here('bin'));
  await writeFile(here('bin/vault'), `#!/bin/sh\nexec '${patient.cli}' "$@"\n`);
  await chmod(here('bin/vault'), 0o755);
  await writeConfig();
  const clinic: Clinic = {
    ...patient,
    directory,
    issuer,
    config,
    app,
    peers: [],
    here,
    async writeJwt(claims = {}) {
      const jwt = await issuer.mint({ sub: 'system:serviceaccount:default:app', ...claims });
      await replaceByRename(here('jwt'), jwt);
      return jwt;
    },
    async writeRole(members) {
      await admin.write('auth/jwt/role/app', { role_type: 'jwt', ...members });
    },
    async examine(env = {}) {
      await writeConfig();
      return examinationOf(await invoke(doctor, { config: here('config.json'), json: true }, { env }));
    },
    async examineBuilt(env = {}) {
      await writeConfig();
      return examinationOf(await cli(['doctor', '--config', here('config.json'), '--json'], { env }));
    },
    async paste(command) {
      const env = { PATH: `${here('bin')}:${process.env['PATH']}`, VAULT_ADDR: admin.url, VAULT_TOKEN: admin.root };
      const child = spawn('sh', ['-ec', command], { env, stdio: ['ignore', 'ignore', 'pipe'] });
      const [words, [status]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
      assert.equal(status, 0, `${command}\n${words}`);
    },
  };
  t.after(() => closePeers(clinic));
  await clinic.writeJwt();
  const done = await invoke(
    setup,
    { config: here('config.json'), apply: true, yes: true, replace: true },
    { env: { VAULT_ADDR: admin.url, VAULT_TOKEN: admin.root } },
  );
  assert.equal(done.code, 0, done.err);
  return clinic;
}

function examinationOf({ code, out, err }: Outcome): Examination {
  assert.doesNotMatch(out + err, SECRET_TEXT);
  assert.equal(err, '');
  const { reports } = JSON.parse(out) as { reports: Report[] };
  return {
    code,
    text: renderReports(reports, (_colour, text) => text),
    findings: reports.flatMap(({ findings }) => findings),
  };
}

export const closePeers = ({ peers }: Clinic) => Promise.all(peers.splice(0).map((one) => one.close()));

/** Breaks the setup, runs doctor (the built program, or in this process), applies the remedy, and runs doctor again. */
export async function treat(clinic: Clinic, broken: BrokenSetup, doctor: 'built' | 'in process'): Promise<void> {
  const env = broken.operator === true ? { VAULT_ADDR: clinic.admin.url, VAULT_TOKEN: clinic.admin.root } : {};
  const healthy = await clinic.examine(env);
  assert.deepEqual(healthy.findings, [], 'the setup has no fault before');
  await broken.breaks(clinic);
  const { findings, code, text: shown } = await (doctor === 'built' ? clinic.examineBuilt(env) : clinic.examine(env));
  const [first] = findings;
  assert.equal(first?.code, broken.code, shown);
  if (broken.says !== undefined) assert.match(shown, broken.says);
  assert.equal(code, first?.severity === 'error' ? first.exit : 0);
  if (broken.mends === undefined) {
    assert.ok(first?.command, `${broken.code} has a command`);
    await clinic.paste(asShown(first.command, shown));
  } else await broken.mends(clinic);
  const after = await clinic.examine(env);
  assert.deepEqual(
    after.findings.filter(({ severity, code: left }) => severity === 'error' || left === broken.code),
    [],
    after.text,
  );
  assert.equal(after.code, 0);
}

/** The command with the report's indentation, as copied from a terminal. */
function asShown(command: string, report: string): string {
  const lines = command.split('\n');
  const all = report.split('\n');
  const from = all.findIndex((line) => line.trim() === lines[0]?.trim());
  const copied = all.slice(from, from + lines.length);
  assert.deepEqual(
    copied.map((line) => line.trim()),
    lines.map((line) => line.trim()),
  );
  return copied.join('\n');
}

/** For a test's `skip`: the reason why this user can't break the setup, or false. */
export const withoutRights = ({ root }: BrokenSetup): string | false =>
  root === true && process.getuid?.() !== 0 && 'only root can';

export interface BrokenSetup {
  readonly name: string;
  /** the code of the finding that must come first */
  readonly code: string;
  readonly breaks: (clinic: Clinic) => unknown;
  /** the remedy, if the finding has no command */
  readonly mends?: (clinic: Clinic) => unknown;
  /** what the report must contain */
  readonly says?: RegExp;
  /** needs the in-memory Vault */
  readonly memory?: true;
  /** needs root */
  readonly root?: true;
  readonly tls?: true;
  /** runs doctor with an operator's token */
  readonly operator?: true;
}
