// Checks everything that a login needs and reports the problems with their remedies, root cause first.

import type { ParsedConfig } from '../config/parse.ts';
import { ConfigError } from '../config/problem.ts';
import { painter } from '../core/paint.ts';
import { isTokenText, Secret, scrub } from '../core/secret.ts';
import type { Settings } from '../core/settings.ts';
import { diagnoseConfig } from '../doctor/diagnose/diagnose.ts';
import type { Finding } from '../doctor/diagnose/finding.ts';
import { type Examination, examine } from '../doctor/examine.ts';
import { type Report, renderReports } from '../doctor/report.ts';
import { openDeadline, openSystemClock, within } from '../exchange/clock.ts';
import type { Io } from '../host/io.ts';
import { readCaFiles } from '../setup/ca-file.ts';
import { findOperatorToken } from '../setup/operator-token.ts';
import { askApi, askStatus, jsonIn } from './ask-daemon.ts';
import { asJson, type Command, type Flags } from './command.ts';
import { chosenExchanges, loadSettings } from './load-settings.ts';

/** Checks that are still running after this long are reported as unfinished; loading and revocation fit into the rest of 20 s. */
const GATHERING_MS = 11_000;
const CLOSING_MS = 4500;

export const command: Command = async (flags, io) => {
  const deadline = openDeadline(openSystemClock(), GATHERING_MS);
  const { reports, close } = await openReports(flags, io, deadline.reached);
  deadline.cancel();
  const text = flags['json'] === true ? asJson({ reports }) : renderReports(reports, painter(io));
  // A misplaced secret in the config or in a message from Vault must not be printed.
  io.out(scrub(text));
  const code = exitCode(reports.flatMap(({ findings }) => findings));
  await within(
    openSystemClock(),
    CLOSING_MS,
    close().catch(() => {}),
  );
  return code;
};

const exitCode = (findings: readonly Finding[]): number =>
  findings.find(({ severity }) => severity === 'error')?.exit ?? 0;

async function openReports(flags: Flags, io: Io, deadline: Promise<void>): Promise<Examination> {
  const loading = loadSettings(flags, io).catch((error: unknown) => {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  });
  const loaded = await Promise.race([loading, deadline.then(() => ["the config file's file system doesn't respond"])]);
  const isLoaded = (outcome: ParsedConfig | readonly string[]): outcome is ParsedConfig => 'settings' in outcome;
  if (isLoaded(loaded)) {
    const chosen = chosenExchanges(loaded.settings, flags);
    const { settings, problems } = await readCaFiles(loaded.settings, chosen);
    for (const line of new ConfigError(problems).lines) io.warn(line);
    const ours = isOurs(settings, flags, io);
    return examine(settings, {
      chosen,
      env: io.env,
      operatorTokenFor: (vault) => findOperatorToken(vault, io),
      isOurs: () => ours,
      servedToken: async (exchange) => ((await ours) ? servedToken(exchange, flags, io) : undefined),
      mayFetchIssuer: flags['fetch-issuer'] === true,
      deadline,
    });
  }
  const report: Report = { about: 'config', findings: diagnoseConfig(loaded), facts: [], notes: [] };
  return { reports: [report], close: async () => {} };
}

/** Reports whether a sidecar with these exchanges listens at ops.listen. */
async function isOurs({ exchanges }: Settings, flags: Flags, io: Io): Promise<boolean> {
  const held = await askStatus(flags, io).catch(() => undefined);
  return held !== undefined && exchanges.every(({ name }) => held.exchanges.some(({ exchange }) => exchange === name));
}

/** Requests the token of an exchange from the running sidecar. */
async function servedToken(exchange: string, flags: Flags, io: Io): Promise<Secret | undefined> {
  const answer = await askApi(`/v1/token/${encodeURIComponent(exchange)}`, flags, io).catch(() => undefined);
  const { access_token: token } = jsonIn(answer?.text ?? '') ?? {};
  return answer?.status === 200 && typeof token === 'string' && isTokenText(token) ? new Secret(token) : undefined;
}
