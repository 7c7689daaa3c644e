// Findings on the issuer as seen from this machine: its discovery document and its keys.

import { isAtOidcPub } from '../../core/hosts.ts';
import { printable } from '../../core/secret.ts';
import type { FindingCode } from './codes.ts';
import { currentOf, type Evidence } from './evidence.ts';
import { toFinding, type UnfoldedFinding } from './finding.ts';

export const ISSUER_RELATED: ReadonlySet<FindingCode> = new Set([
  'signature_invalid',
  'issuer_unreachable',
  'issuer_tls',
  'mount_misconfigured',
  'mount_unconfigured',
  'jwt_refused',
]);

const inQuotes = (text: string): string => JSON.stringify(printable(text));

/** Issuer problems seen from this machine. They are errors only if the login fails in a way that they explain. */
export function issuerFindings(evidence: Evidence): UnfoldedFinding[] {
  const { issuer, login } = evidence;
  if (issuer === undefined || issuer.state === 'verified' || issuer.state === 'unfetched') return [];
  const trust = currentOf(evidence, 'trust');
  // A mount with pinned keys doesn't fetch the issuer's documents.
  if (trust !== undefined && !trust['oidc_discovery_url'] && login?.seen !== undefined) return [];
  const severity = login === undefined || ISSUER_RELATED.has(login.failure?.code ?? 'internal') ? 'error' : 'warning';
  const see = (code: FindingCode, words: string): UnfoldedFinding[] => {
    const finding = toFinding({ code, evidence: words, severity }, evidence);
    const remedy = remedyAtOidcPub(code, issuer.url);
    return [remedy === undefined ? finding : { ...finding, remedy }];
  };
  switch (issuer.state) {
    case 'unreachable':
      return see('issuer_unreachable_here', `${issuer.url}: ${issuer.words}`);
    case 'untrusted':
      // Vault's own error message says more.
      if (login?.failure?.code === 'issuer_tls') return [];
      return see('issuer_tls', `from this machine, ${issuer.url}: ${issuer.words}`);
    case 'unpublished':
      return see('issuer_unpublished', `${issuer.url}: ${issuer.words}`);
    case 'renamed':
      return see('issuer_renamed', `${issuer.url} names the issuer ${inQuotes(issuer.published)}`);
    case 'key-missing':
      return see(
        'issuer_key_missing',
        `${issuer.url} has no key ${inQuotes(issuer.keyId)}, ${onlyKeys(issuer.published)}`,
      );
    case 'forged':
      return see('issuer_signature', `key ${inQuotes(issuer.keyId)} of ${issuer.url} doesn't verify the signature`);
  }
}

const MOST_KEYS = 5;

function onlyKeys(published: readonly string[]): string {
  const rest = published.length - MOST_KEYS;
  const shown = published.slice(0, MOST_KEYS).map(inQuotes).join(', ');
  return shown === '' ? 'and none with an id' : `only ${shown}${rest > 0 ? ` and ${rest} more` : ''}`;
}

const DISCOVERY = '/.well-known/openid-configuration';

/**
 * Returns the remedy for an issuer that oidc.pub publishes, where it differs. oidc.pub serves static documents that its
 * sync worker pushes, at the bare host only: https://oidc.pub
 */
function remedyAtOidcPub(code: FindingCode, url: string): string | undefined {
  if (!isAtOidcPub(url)) return undefined;
  const { origin, pathname } = new URL(url);
  if (code === 'issuer_unpublished' && pathname.endsWith(DISCOVERY) && pathname !== DISCOVERY)
    return `oidc.pub serves issuers at the bare host: set setup.trust.oidc_discovery_url to ${origin}. bound_issuer keeps the path that "iss" has.`;
  if (code === 'issuer_unpublished')
    return "Run oidc.pub's sync worker for this issuer, or correct the name. What the worker pushes is public within a minute.";
  if (code === 'issuer_key_missing')
    return "After a key rotation, wait six minutes: oidc.pub's sync worker runs every five, and publishing takes one. The sidecar retries meanwhile. The worker's --once pushes at once.";
  return undefined;
}
