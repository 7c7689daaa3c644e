// Reads setup.trust.oidc_discovery_ca_file, which the daemon doesn't need.

import type { ConfigProblem } from '../config/problem.ts';
import { evidenceText } from '../core/facts.ts';
import type { ExchangeSettings, Settings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';

/** Enough for the CA bundle of a distribution. */
const MOST_BYTES = 1024 * 1024;

/** Returns the settings with the CAs of the chosen exchanges' issuers, and a problem per unusable file. */
export async function readCaFiles(
  settings: Settings,
  chosen: readonly ExchangeSettings[],
): Promise<{ readonly settings: Settings; readonly problems: readonly ConfigProblem[] }> {
  const setup = { ...settings.setup };
  const problems: ConfigProblem[] = [];
  for (const { name } of chosen) {
    const own = setup[name];
    const path = own?.trust.caFile;
    if (own === undefined || path === undefined) continue;
    const file = await readSmallFile(path, { mostBytes: MOST_BYTES });
    const problem = isFileProblem(file) ? file : ({ problem: 'no-certificate' } as const);
    const caPem = isFileProblem(file) ? undefined : certificatesIn(file.text);
    if (caPem !== undefined) setup[name] = { ...own, trust: { ...own.trust, caPem } };
    else
      problems.push({
        pointer: `/exchanges/${name}/setup/trust/oidc_discovery_ca_file`,
        message: `can't use ${evidenceText({ kind: 'file', path, ...problem })}`,
      });
  }
  return { settings: { ...settings, setup }, problems };
}

/** Returns the certificates alone: the file may also hold a private key, which must not be printed or sent. */
function certificatesIn(text: string): string | undefined {
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  return found === null ? undefined : `${found.join('\n')}\n`;
}
