// Examines exchanges: gathers evidence on each within the deadline, and turns it into reports.

import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings, Settings, VaultSettings } from '../core/settings.ts';
import { openCorrelationIds } from '../exchange/correlation.ts';
import type { OperatorToken } from '../setup/operator-token.ts';
import { openChecks, wordsOf } from './checks.ts';
import { brokenFinding, diagnose, diagnoseListeners } from './diagnose/diagnose.ts';
import type { Evidence, ListenerFacts } from './diagnose/evidence.ts';
import { fold } from './diagnose/finding.ts';
import { openNotes, wellFacts } from './diagnose/well-facts.ts';
import { type Gathering, gather } from './gather.ts';
import { inspectListeners } from './probes/listeners.ts';
import type { Report } from './report.ts';

export interface Examination {
  readonly reports: readonly Report[];
  /** Revokes the tokens of the examination's logins. */
  close(): Promise<void>;
}

export interface ExaminationTools {
  readonly chosen: readonly ExchangeSettings[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly operatorTokenFor: (vault: VaultSettings) => Promise<OperatorToken>;
  /** Reports whether a sidecar with this config listens at ops.listen. */
  readonly isOurs: () => Promise<boolean>;
  /** Resolves to the token that a running sidecar serves for the exchange, if any. */
  readonly servedToken: (exchange: string) => Promise<Secret | undefined>;
  /** allows fetching the issuer's documents from hosts that the config doesn't name */
  readonly mayFetchIssuer: boolean;
  /** Checks that are still running when it resolves are reported as unfinished. */
  readonly deadline: Promise<void>;
}

export async function examine(
  settings: Settings,
  { chosen, env, operatorTokenFor, isOurs, servedToken, mayFetchIssuer, deadline }: ExaminationTools,
): Promise<Examination> {
  const gatherings = new Map<string, Gathering>();
  const nextCorrelationId = openCorrelationIds(Math.random);
  const notes = new Map<string, string>();
  /** Includes exchanges that only supply the token for another exchange's source. */
  function gatheringOf(name: string): Gathering | undefined {
    const known = gatherings.get(name);
    const [one, setup] = [settings.exchanges.find((exchange) => exchange.name === name), settings.setup[name]];
    if (known !== undefined || one === undefined || setup === undefined) return known;
    const operatorToken = operatorTokenFor(one.vault).then(({ token, without }) => {
      if (without !== undefined) notes.set(name, `doctor didn't compare Vault's side: ${without}`);
      return token;
    });
    const tokenOf = async (other: string) => gatheringOf(other)?.token;
    const shared = { env, servedToken, fetchIssuer: mayFetchIssuer, nextCorrelationId };
    const begun = gather(one, { ...shared, setup, operatorToken, tokenOf });
    gatherings.set(name, begun);
    return begun;
  }
  const started = chosen.flatMap(({ name }) => gatheringOf(name) ?? []);
  const checks = openChecks();
  let listeners: readonly ListenerFacts[] = [];
  const listening = checks.run('the listeners', async () => {
    listeners = await inspectListeners(settings, isOurs);
  });
  await Promise.race([Promise.all([listening, ...started.map(({ done }) => done)]), deadline]);
  const reports = started.map((one) => reportOn(one.evidence(), notes));
  const findings = diagnoseListeners(listeners, { broken: checks.broken(), unfinished: checks.unfinished() });
  if (findings.length > 0) reports.push({ about: 'listeners', findings, facts: [], notes: [] });
  const close = async () => void (await Promise.all([...gatherings.values()].map((one) => one.close())));
  return { reports, close };
}

/** Reports on one exchange. A diagnosis that throws becomes a finding. */
function reportOn(evidence: Evidence, notes: ReadonlyMap<string, string>): Report {
  const { name } = evidence.settings;
  const about = `exchange ${name}`;
  try {
    const open = [...openNotes(evidence), notes.get(name) ?? []].flat();
    return { about, findings: diagnose(evidence), facts: wellFacts(evidence), notes: open };
  } catch (error) {
    const findings = fold([brokenFinding(`the diagnosis failed: ${wordsOf(error)}`)]);
    return { about, findings, facts: [], notes: [] };
  }
}
