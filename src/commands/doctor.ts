// Looks at everything that a login takes, and tells what is wrong, the cause first, with the remedy; or that all is well.

import type { ParsedConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problem.ts';
import { scrub } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { diagnoseConfig } from '../doctor/diagnose/diagnose.ts';
import type { Finding } from '../doctor/diagnose/finding.ts';
import { type Examination, examine } from '../doctor/examine.ts';
import { type Report, renderReports } from '../doctor/report.ts';
import { openDeadline, openSystemClock, within } from '../exchange/clock.ts';
import type { Io } from '../host/io.ts';
import { findOperatorToken } from '../setup/operator-token.ts';
import { askStatus } from './ask-daemon.ts';
import { CONFIG_OPTION, type Command, type Flags } from './command.ts';
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

async function openReports(flags: Flags, io: Io, deadline: Promise<void>): Promise<Examination> {
  const loading = loadSettings(flags, io).catch((error: unknown) => {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  });
  const loaded = await Promise.race([loading, deadline.then(() => ["the config file's file system doesn't answer"])]);
  const isLoaded = (outcome: ParsedConfig | readonly string[]): outcome is ParsedConfig => 'settings' in outcome;
  if (isLoaded(loaded)) {
    const { settings } = loaded;
    return examine(settings, {
      chosen: chosenExchanges(settings, flags),
      env: io.env,
      operatorTokenFor: (vault) => findOperatorToken(vault, io),
      isOurs: () => isOurs(settings, flags, io),
      mayFetchIssuer: flags['fetch-issuer'] === true,
      deadline,
    });
  }
  const report: Report = { about: 'config', findings: diagnoseConfig(loaded), facts: [], notes: [] };
  return { reports: [report], close: async () => {} };
}

/** Whether a sidecar with these exchanges answers at the ops listener. */
async function isOurs({ exchanges }: Settings, flags: Flags, io: Io): Promise<boolean> {
  const held = await askStatus(flags, io).catch(() => undefined);
  return (
    held !== undefined && exchanges.every(({ name }) => held.status.exchanges.some(({ exchange }) => exchange === name))
  );
}
