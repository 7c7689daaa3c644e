// What hosts mean: plain http to a host of this machine or of its hypervisor is safe; oidc.pub publishes issuers.

export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host);
  return bare === 'localhost' || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

/** Reports whether the host is link-local, or the address or name of a cloud's metadata service. */
export function isMetadataHost(host: string): boolean {
  const bare = withoutBrackets(host);
  return /^169\.254(?:\.\d{1,3}){2}$|^fe[89ab][0-9a-f]:/.test(bare) || METADATA_HOSTS.has(bare);
}

const METADATA_HOSTS: ReadonlySet<string> = new Set([
  'metadata.google.internal',
  'metadata.goog',
  // Google Cloud and AWS, for machines without IPv4
  'fd20:ce::254',
  'fd00:ec2::254',
]);

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '').toLowerCase();

/** Reports whether oidc.pub publishes the issuer, or the document, at a URL. */
export const isAtOidcPub = (url: string): boolean => URL.canParse(url) && new URL(url).hostname.endsWith('.oidc.pub');
