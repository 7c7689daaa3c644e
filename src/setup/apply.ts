// Applies a plan to Vault: reads the current state, shows the difference, asks for confirmation and writes. Idempotent: writes only
// differences, and deletes nothing.

import { defined } from '../core/defined.ts';
import { EXIT_CODES, ExchangeError, exitCodeOf, explain, lineOf, unlessFailure } from '../core/errors.ts';
import { linesWithoutControls, oneLine, type Secret } from '../core/secret.ts';
import { openCorrelationIds } from '../exchange/correlation.ts';
import { type Io, UsageError } from '../host/io.ts';
import type { VaultClient } from '../vault/client.ts';
import { bodyToWrite, changesOf, type Difference, lostMembers, refusalOf, remarksOn, unknownMembers } from './diff.ts';
import { probeIssuer } from './issuer-probe.ts';
import { openOperatorClient } from './operator-client.ts';
import { findOperatorToken } from './operator-token.ts';
import type { PlannedExchange, SetupStep } from './plan.ts';
import { readCurrent } from './read-current.ts';
import { adminRequest, judgeWrite } from './vault-admin.ts';

export interface ApplyOptions {
  /** allows pointing a mount at another issuer */
  readonly mayReplace: boolean;
  /** applies without asking */
  readonly isAgreed: boolean;
  readonly io: Io;
}

/** @returns the exit code. @throws UsageError */
export async function applySetup(
  steps: readonly SetupStep[],
  exchanges: readonly PlannedExchange[],
  options: ApplyOptions,
): Promise<number> {
  const [first] = exchanges;
  if (first === undefined) return 0;
  const { io } = options;
  if (exchanges.some(({ vault }) => vault.address !== first.vault.address))
    throw new UsageError(severalVaults(exchanges));
  const { token, without } = await findOperatorToken(first.vault, io);
  if (token === undefined) throw new UsageError(without);
  const client = openOperatorClient(first.vault, openCorrelationIds(Math.random));
  const progress: Progress = { written: [], due: [] };
  try {
    return await apply(steps, exchanges, { ...options, client, token, progress });
  } catch (error) {
    if (!(error instanceof ExchangeError)) throw error;
    reportFailure(error, progress, io);
    return exitCodeOf(error.failure);
  } finally {
    await client.close();
  }
}

function severalVaults(exchanges: readonly PlannedExchange[]): string {
  const addresses = [...new Set(exchanges.map(({ vault }) => vault.address))];
  const groups = addresses.map((address) => {
    const names = exchanges.filter(({ vault }) => vault.address === address).map(({ name }) => name);
    return `${names.join(', ')}: ${address}`;
  });
  return `the exchanges log in to several Vaults, and a Vault token is for one: run it for each exchange with --exchange, and with the VAULT_ADDR and VAULT_TOKEN of its Vault (${groups.join('; ')})`;
}

interface Progress {
  /** the steps that have been written */
  written: readonly SetupStep[];
  /** the steps that are still to be written; the first one is in progress */
  due: readonly SetupStep[];
}

interface Applying extends ApplyOptions {
  readonly client: VaultClient;
  readonly token: Secret;
  readonly progress: Progress;
}

/** @returns the exit code. @throws UsageError, ExchangeError with a code of the setup or vault_* */
async function apply(
  steps: readonly SetupStep[],
  exchanges: readonly PlannedExchange[],
  { mayReplace, isAgreed, io, client, token, progress }: Applying,
): Promise<number> {
  const differences: Difference[] = [];
  for (const step of steps) differences.push(await compare(step, client, token));
  for (const remark of [
    ...differences.flatMap(({ step, current }) => remarksOn(step, current)),
    ...(await missingPolicies(exchanges, client, token)),
  ])
    io.warn(remark);
  const address = exchanges[0]?.vault.address;
  io.out(linesWithoutControls(`Vault at ${address}\n${differences.map(describeDifference).join('\n')}`));
  const refusals = differences.flatMap(
    ({ step, changes, current }) => refusalOf(step, changes, { current, mayReplace }) ?? [],
  );
  if (refusals.length > 0) throw new UsageError(refusals.join('; '));
  const due = differences.filter(({ changes }) => changes.length > 0);
  if (due.length === 0) {
    io.out('nothing to change');
    return 0;
  }
  if (!isAgreed && !(await isAllowed(io))) return EXIT_CODES.config;
  for (const [index, difference] of due.entries()) {
    progress.due = due.slice(index).map(({ step }) => step);
    await write(difference, client, token);
    progress.written = [...progress.written, difference.step];
  }
  progress.due = [];
  for (const loss of await losses(due, client, token)) io.warn(loss);
  io.out(`${due.length} of ${steps.length} changed`);
  return 0;
}

/** @throws ExchangeError */
async function write({ step, current }: Difference, client: VaultClient, token: Secret): Promise<void> {
  const failure = judgeWrite(step, await client.send(adminRequest(step, token, bodyToWrite(step, current))), token);
  if (failure?.code !== 'setup_issuer_unusable' || failure.facts?.kind !== 'reply') return unlessFailure(failure);
  const fromHere = await probeIssuer(step.body);
  throw new ExchangeError(failure.code, { ...failure.facts, ...defined({ fromHere }) });
}

/** Prints the written and unwritten steps, the failure and the next command. */
function reportFailure({ failure }: ExchangeError, { written, due }: Progress, io: Io): void {
  const [failed, ...left] = due;
  const list = (words: string, steps: readonly SetupStep[]): string[] =>
    steps.length === 0 ? [] : [`${words}: ${steps.map(({ path }) => path).join(', ')}`];
  for (const line of [
    ...(failed === undefined && written.length === 0 ? ['nothing was written'] : list('written', written)),
    ...(failed === undefined ? [] : list('failed', [failed])),
    ...list('not written', left),
    lineOf(explain(failure)),
    'Then run "vault-token-sidecar setup --apply" again: it writes only what is missing or different.',
  ])
    io.err(line);
}

async function isAllowed(io: Io): Promise<boolean> {
  const answer = await io.ask('Apply these changes? [y/N] ');
  if (answer === undefined) throw new UsageError('there is no terminal to ask for confirmation: use --yes');
  if (/^y(es)?$/i.test(answer.trim())) return true;
  io.err('cancelled: nothing was changed');
  return false;
}

async function compare(step: SetupStep, client: VaultClient, token: Secret): Promise<Difference> {
  const current = await readCurrent(step, client, token);
  return { step, current, changes: changesOf(step, current) };
}

/** Reads the written trust configs again, and returns a warning for each member that Vault didn't keep. */
async function losses(written: readonly Difference[], client: VaultClient, token: Secret): Promise<string[]> {
  const found: string[] = [];
  for (const { step, current } of written) {
    if (current === undefined || step.kind !== 'trust') continue;
    const after = await readCurrent(step, client, token);
    for (const { member, was } of lostMembers(step, current, after))
      found.push(`${step.path}: Vault didn't keep ${member}, which was ${oneLine(was)}`);
  }
  return found;
}

const UNREADABLE = {};

/** Returns a warning for each policy of a role that doesn't exist. Policies that the token may not read are skipped. */
async function missingPolicies(
  exchanges: readonly PlannedExchange[],
  client: VaultClient,
  token: Secret,
): Promise<string[]> {
  const warnings: string[] = [];
  const made = new Set(['default', ...exchanges.flatMap(({ setup }) => Object.keys(setup.policies))]);
  for (const { name, login, setup } of exchanges) {
    for (const policy of setup.role.policies.filter((one) => !made.has(one))) {
      const place = { kind: 'policy' as const, path: `sys/policies/acl/${policy}`, ...login };
      const seen = await readCurrent(place, client, token).catch(() => UNREADABLE);
      if (seen === undefined)
        warnings.push(`exchange ${name}: policy ${policy} doesn't exist: until it does, it grants the tokens nothing`);
    }
  }
  return warnings;
}

function describeDifference({ step, current, changes }: Difference): string {
  const verb = changes.length === 0 ? 'keep  ' : current === undefined ? 'create' : 'change';
  const width = Math.max(...changes.map(({ member }) => member.length));
  const lines = changes.map(
    ({ member, from, to }) =>
      `           ${member.padEnd(width)}  ${from === undefined ? '' : `${oneLine(from)} -> `}${oneLine(to) || 'unset'}`,
  );
  const unknown = changes.length === 0 ? [] : unknownMembers(step, current);
  const doubts = unknown.map((member) => `           ${member}  written back unchanged: Vault may not accept it`);
  return [`  ${verb}  ${step.path}`, ...lines, ...doubts].join('\n');
}
