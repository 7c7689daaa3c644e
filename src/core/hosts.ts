// What hosts mean: plain http to this machine or to a metadata service is safe; oidc.pub publishes issuers.

export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host);
  return bare === 'localhost' || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}

/**
 * Reports whether the host is the address or name of a cloud's metadata service, which the hypervisor or the machine itself
 * answers. Other link-local addresses may be of any machine on the link.
 */
export const isMetadataHost = (host: string): boolean => METADATA_HOSTS.has(withoutBrackets(host));

const METADATA_HOSTS: ReadonlySet<string> = new Set([
  // AWS, Azure and Google Cloud
  '169.254.169.254',
  'fd00:ec2::254',
  'fd20:ce::254',
  'metadata.google.internal',
  'metadata.goog',
  // credentials of ECS tasks and EKS pods
  '169.254.170.2',
  '169.254.170.23',
  'fd00:ec2::23',
]);

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '').toLowerCase();

/** Reports whether oidc.pub publishes the issuer, or the document, at a URL. */
export const isAtOidcPub = (url: string): boolean => URL.canParse(url) && new URL(url).hostname.endsWith('.oidc.pub');
