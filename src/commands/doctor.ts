// Looks at everything that a login takes, and tells what is wrong, the cause first, with the remedy; or that all is well.

import { openDeadline, openSystemClock } from '../clock.ts';
import { ConfigError, type ParsedConfig } from '../config.ts';
import { diagnose, diagnoseConfig, diagnoseListeners } from '../core/diagnosis.ts';
import { wellFacts } from '../core/diagnosis-facts.ts';
import type { Finding } from '../core/finding.ts';
import { scrub } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { type Gathering, gather } from '../doctor/gather.ts';
import { inspectListeners } from '../doctor/listeners.ts';
import { askStatus } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, type Flags, type Io } from './command.ts';
import { type Report, renderReports } from './doctor-report.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';
import { operatorTokenIfAny } from './operator-token.ts';

/** What isn't known by then is left out: with the revocation after it all ends within 20 s. */
const GATHERING_MS = 14_000;

export const command: Command = {
  help: `vault-token-sidecar doctor [--config FILE] [--exchange E] [--json]

Explains why a login fails, the cause first: looks at the config, the JWT, its issuer, Vault, the mount and the role, logs in
once and revokes that token, tries the sinks and the listeners. With VAULT_TOKEN or ~/.vault-token it compares Vault's side too.
Ends within 20 s, with the exit code of the first error; 0 where there are only warnings.`,
  options: { ...CONFIG_OPTION, exchange: { type: 'string' }, json: { type: 'boolean' } },
  async run(flags, io) {
    const loaded = await loadSettings(flags, io).catch((error: unknown) => {
      if (error instanceof ConfigError) return error.problems;
      throw error;
    });
    const isLoaded = (outcome: ParsedConfig | readonly string[]): outcome is ParsedConfig => 'settings' in outcome;
    const { reports, inTime } = isLoaded(loaded)
      ? await examine(loaded.settings, flags, io)
      : { reports: [{ about: 'config', findings: diagnoseConfig(loaded), facts: [] }], inTime: true };
    const text = flags['json'] === true ? JSON.stringify({ reports }, undefined, 2) : renderReports(reports, io.isTty);
    // a secret may stand where the config or Vault's words have none
    io.out(scrub(text));
    const code = exitCode(reports.flatMap(({ findings }) => findings));
    // what hangs in the file system would keep the process alive
    if (!inTime) io.exit(code);
    return code;
  },
};

const exitCode = (findings: readonly Finding[]): number =>
  findings.find(({ severity }) => severity === 'error')?.exit ?? 0;

/** Whether a sidecar with these exchanges answers at the ops listener. */
async function isOurs({ exchanges }: Settings, flags: Flags, io: Io): Promise<boolean> {
  const held = await askStatus(flags, io).catch(() => undefined);
  return held !== undefined && exchanges.every(({ name }) => held.exchanges.some(({ exchange }) => exchange === name));
}

async function examine(
  settings: Settings,
  flags: Flags,
  io: Io,
): Promise<{ readonly reports: readonly Report[]; readonly inTime: boolean }> {
  const chosen = chosenExchanges(settings, flags);
  const gatherings = new Map<string, Gathering>();
  /** Also of those that are only asked for their token. */
  function gatheringOf(name: string): Gathering | undefined {
    const known = gatherings.get(name);
    const [one, setup] = [settings.exchanges.find((exchange) => exchange.name === name), settings.setup[name]];
    if (known !== undefined || one === undefined || setup === undefined) return known;
    const operatorToken = operatorTokenIfAny(one.vault, io);
    const tokenOf = async (other: string) => gatheringOf(other)?.token;
    const begun = gather(one, { setup, env: io.env, operatorToken, tokenOf });
    gatherings.set(name, begun);
    return begun;
  }
  const deadline = openDeadline(openSystemClock(), GATHERING_MS);
  const started = chosen.flatMap(({ name }) => gatheringOf(name) ?? []);
  const listeners = inspectListeners(settings, () => isOurs(settings, flags, io));
  const all = Promise.all([listeners, ...started.map(({ done }) => done)]).then(() => true);
  const inTime = await Promise.race([all, deadline.reached.then(() => false)]);
  deadline.cancel();
  const reports: Report[] = started.map(({ evidence }) => ({
    about: `exchange ${evidence.settings.name}`,
    findings: diagnose(evidence),
    facts: wellFacts(evidence),
  }));
  const taken = inTime ? diagnoseListeners(await listeners) : [];
  if (taken.length > 0) reports.push({ about: 'listeners', findings: taken, facts: [] });
  await Promise.all([...gatherings.values()].map((one) => one.close()));
  return { reports, inTime };
}
