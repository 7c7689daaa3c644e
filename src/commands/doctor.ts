// Looks at everything that a login takes, and tells what is wrong, the cause first, with the remedy; or that all is well.

import { ConfigError, type ParsedConfig } from '../config/parse.ts';
import { scrub } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { describe, openChecks } from '../doctor/checks.ts';
import { brokenFinding, diagnose, diagnoseConfig, diagnoseListeners } from '../doctor/diagnose/diagnose.ts';
import type { Evidence, ListenerFacts } from '../doctor/diagnose/evidence.ts';
import { type Finding, fold } from '../doctor/diagnose/finding.ts';
import { openNotes, wellFacts } from '../doctor/diagnose/well-facts.ts';
import { type Gathering, gather } from '../doctor/gather.ts';
import { inspectListeners } from '../doctor/probes/listeners.ts';
import { type Report, renderReports } from '../doctor/report.ts';
import { openDeadline, openSystemClock, within } from '../exchange/clock.ts';
import { findOperatorToken } from '../setup/operator-token.ts';
import { askStatus } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, type Flags, type Io } from './command.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';

/** Checks that go on then are reported as unfinished. With loading and the revocation all ends within 20 s. */
const GATHERING_MS = 11_000;
const CLOSING_MS = 4500;

export const command: Command = {
  help: `vault-token-sidecar doctor [--config FILE] [--exchange E] [--fetch-issuer] [--json]

Explains why a login fails, the cause first: looks at the config, the JWT, its issuer, Vault, the mount and the role, logs in
once and revokes that token, tries the sinks and the listeners. With VAULT_ADDR, and VAULT_TOKEN or ~/.vault-token, it compares
the side of that Vault too. Ends within 20 s, with the exit code of the first error; 0 where there are only warnings.
--fetch-issuer   may fetch the issuer's documents from hosts that the config doesn't name`,
  options: {
    ...CONFIG_OPTION,
    exchange: { type: 'string' },
    'fetch-issuer': { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, io) {
    const deadline = openDeadline(openSystemClock(), GATHERING_MS);
    const { reports, close } = await openReports(flags, io, deadline.reached);
    deadline.cancel();
    const text = flags['json'] === true ? JSON.stringify({ reports }, undefined, 2) : renderReports(reports, io.isTty);
    // a secret may stand where the config or Vault's words have none
    io.out(scrub(text));
    const code = exitCode(reports.flatMap(({ findings }) => findings));
    await within(
      openSystemClock(),
      CLOSING_MS,
      close().catch(() => {}),
    );
    return code;
  },
};

const exitCode = (findings: readonly Finding[]): number =>
  findings.find(({ severity }) => severity === 'error')?.exit ?? 0;

interface Outcome {
  readonly reports: readonly Report[];
  /** Revokes what was logged in for. */
  close(): Promise<void>;
}

async function openReports(flags: Flags, io: Io, deadline: Promise<void>): Promise<Outcome> {
  const loading = loadSettings(flags, io).catch((error: unknown) => {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  });
  const loaded = await Promise.race([loading, deadline.then(() => ["the config file's file system doesn't answer"])]);
  const isLoaded = (outcome: ParsedConfig | readonly string[]): outcome is ParsedConfig => 'settings' in outcome;
  if (isLoaded(loaded)) return examine(loaded.settings, { flags, io, deadline });
  const report: Report = { about: 'config', findings: diagnoseConfig(loaded), facts: [], notes: [] };
  return { reports: [report], close: async () => {} };
}

/** Whether a sidecar with these exchanges answers at the ops listener. */
async function isOurs({ exchanges }: Settings, flags: Flags, io: Io): Promise<boolean> {
  const held = await askStatus(flags, io).catch(() => undefined);
  return held !== undefined && exchanges.every(({ name }) => held.exchanges.some(({ exchange }) => exchange === name));
}

async function examine(
  settings: Settings,
  { flags, io, deadline }: { flags: Flags; io: Io; deadline: Promise<void> },
): Promise<Outcome> {
  const chosen = chosenExchanges(settings, flags);
  const gatherings = new Map<string, Gathering>();
  const notes = new Map<string, string>();
  /** Also of those that are only asked for their token. */
  function gatheringOf(name: string): Gathering | undefined {
    const known = gatherings.get(name);
    const [one, setup] = [settings.exchanges.find((exchange) => exchange.name === name), settings.setup[name]];
    if (known !== undefined || one === undefined || setup === undefined) return known;
    const operatorToken = findOperatorToken(one.vault, io).then(({ token, without }) => {
      if (without !== undefined) notes.set(name, `Vault's side wasn't compared: ${without}`);
      return token;
    });
    const tokenOf = async (other: string) => gatheringOf(other)?.token;
    const fetchIssuer = flags['fetch-issuer'] === true;
    const begun = gather(one, { setup, env: io.env, operatorToken, tokenOf, fetchIssuer });
    gatherings.set(name, begun);
    return begun;
  }
  const started = chosen.flatMap(({ name }) => gatheringOf(name) ?? []);
  const checks = openChecks();
  let listeners: readonly ListenerFacts[] = [];
  const listening = checks.run('the listeners', async () => {
    listeners = await inspectListeners(settings, () => isOurs(settings, flags, io));
  });
  await Promise.race([Promise.all([listening, ...started.map(({ done }) => done)]), deadline]);
  const reports = started.map((one) => reportOn(one.evidence(), notes));
  const findings = diagnoseListeners(listeners, { broken: checks.broken(), unfinished: checks.unfinished() });
  if (findings.length > 0) reports.push({ about: 'listeners', findings, facts: [], notes: [] });
  const close = async () => void (await Promise.all([...gatherings.values()].map((one) => one.close())));
  return { reports, close };
}

/** A diagnosis that fails on odd evidence is a finding as well. */
function reportOn(evidence: Evidence, notes: ReadonlyMap<string, string>): Report {
  const { name } = evidence.settings;
  const about = `exchange ${name}`;
  try {
    const open = [...openNotes(evidence), notes.get(name) ?? []].flat();
    return { about, findings: diagnose(evidence), facts: wellFacts(evidence), notes: open };
  } catch (error) {
    const findings = fold([brokenFinding(`the diagnosis broke off: ${describe(error)}`)]);
    return { about, findings, facts: [], notes: [] };
  }
}
