// Which redirects of a Vault standby may be followed: a request has a secret, which goes only to allowed hosts.

import { ExchangeError } from '../core/errors.ts';

/**
 * Returns the target of a redirect: the same host or an allowed one, with the same scheme.
 * @throws ExchangeError redirect_blocked
 */
export function redirectTarget(from: URL, location: string | undefined, allowedHosts: readonly string[]): URL {
  if (location === undefined || !URL.canParse(location, from.href))
    throw new ExchangeError('redirect_blocked', { kind: 'redirect', problem: 'no-location' });
  const to = new URL(location, from.href);
  if (to.protocol !== from.protocol)
    throw new ExchangeError('redirect_blocked', { kind: 'redirect-scheme', from: from.protocol, to: to.protocol });
  const allowed = to.host === from.host || allowedHosts.some((host) => host === to.host || host === to.hostname);
  if (!allowed)
    throw new ExchangeError('redirect_blocked', {
      kind: 'redirect',
      problem: 'other-host',
      detail: to.host.slice(0, 100),
    });
  return to;
}
