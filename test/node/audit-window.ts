// Counts requests to a real Vault by its audit log.

import type { RealVault } from '../vault/real-vault.ts';

export function openAuditWindow({ auditLog }: RealVault) {
  const requests = () => auditLog().filter(({ type }) => type === 'request');
  return {
    /** @returns the position of the next request */
    open: (): number => requests().length,
    since(position: number): { logins: number; peak: number } {
      const seen = requests().slice(position);
      const times = seen.map(({ time }) => Date.parse(time));
      return {
        logins: seen.filter(({ request }) => request.path === 'auth/jwt/login').length,
        // the busiest second that begins with a request
        peak: Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length)),
      };
    },
  };
}
