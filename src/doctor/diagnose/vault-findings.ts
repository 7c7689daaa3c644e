// Findings on Vault itself: whether it can be reached, whether it works, and its clock.

import type { Failure } from '../../core/errors.ts';
import type { FindingCode } from './codes.ts';
import type { Evidence } from './evidence.ts';
import { evidenceLineOf, toFinding, type UnfoldedFinding } from './finding.ts';
import { ago } from './life.ts';

export function vaultFindings(evidence: Evidence): UnfoldedFinding[] {
  const { health, login } = evidence;
  const findings: UnfoldedFinding[] = [];
  const ofLogin = login?.failure?.code.startsWith('vault_') && !isMountProblem(evidence) ? login.failure : undefined;
  // If logins work, ignore a failing sys/health.
  const isVault = login?.seen !== undefined || isVaultMessage(login?.failure);
  const failure = health?.failure?.code === 'bad_response' && isVault ? ofLogin : (health?.failure ?? ofLogin);
  if (failure !== undefined) findings.push(unusableVault(failure, evidence));
  const skewMs = health?.seen?.skewMs ?? 0;
  if (Math.abs(skewMs) > TOLERATED_SKEW_MS) {
    const by = `${ago(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} Vault's`;
    const harmful = login?.failure?.code === 'jwt_expired' || login?.failure?.code === 'jwt_not_yet_valid';
    findings.push(
      toFinding(
        { code: 'clock_wrong', evidence: `this machine's clock is ${by}`, severity: harmful ? 'error' : 'warning' },
        evidence,
      ),
    );
  }
  return findings;
}

function unusableVault(failure: Failure, evidence: Evidence): UnfoldedFinding {
  const { certificate, settings } = evidence;
  const words = evidenceLineOf(failure);
  const observe = (code: FindingCode, more = '') => toFinding({ code, evidence: `${words}${more}` }, evidence);
  if (certificate !== undefined) {
    const names = `for ${certificate.names}, issued by ${certificate.issuer}`;
    if (!settings.vault.address.startsWith('http:')) return observe(failure.code, `; it is ${names}`);
    return { ...observe('vault_not_http', `; it speaks TLS, with a certificate ${names}`), remedy: HTTPS };
  }
  if (failure.facts?.kind === 'redirect-scheme' && failure.facts.to === 'https:')
    return { ...observe(failure.code), remedy: HTTPS };
  return observe(failure.facts?.kind === 'foreign-reply' ? 'not_vault' : failure.code);
}

const HTTPS = 'Use https:// in vault.address if that server is your Vault; otherwise correct the host and the port.';

/** Reports whether the refusal is Vault's own: a 400 without an error message comes from a proxy in front of Vault. */
const isVaultMessage = (failure: Failure | undefined): boolean =>
  failure?.facts?.kind === 'reply' && failure.facts.status === 400 && failure.facts.words !== '';

/** The codes that an auth method of another type may produce for a JWT login. */
export const MOUNT_RELATED: ReadonlySet<FindingCode> = new Set([
  'login_forbidden',
  'mount_missing',
  'login_refused',
  'vault_unavailable',
]);

/** Reports whether the login fails because no JWT auth method is at the mount, while Vault itself is healthy. */
export const isMountProblem = ({ login, health, mount }: Evidence): boolean =>
  MOUNT_RELATED.has(login?.failure?.code ?? 'internal') && health?.seen !== undefined && mount?.answers === false;

/** Vault's own leeway, clock_skew_leeway of a role. */
const TOLERATED_SKEW_MS = 60_000;
