// Finds the address from which this machine connects to Vault. Behind NAT or a proxy, Vault sees another one.

import { connect } from 'node:net';
import type { VaultSettings } from '../../core/settings.ts';

/** @returns undefined if there is no connection. Nothing is sent over it. */
export function ownAddressTowards({ address }: VaultSettings, timeoutMs: number): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(address);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)), timeout: timeoutMs });
    const end = () => {
      resolve(socket.localAddress);
      socket.destroy();
    };
    socket.on('connect', end).on('error', end).on('timeout', end);
  });
}
