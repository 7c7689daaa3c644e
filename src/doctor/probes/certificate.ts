// Reads Vault's certificate without verifying it, only to show its names and issuer. No request is sent over this connection.

import { connect } from 'node:tls';
import type { VaultSettings } from '../../core/settings.ts';
import type { CertificateFacts } from '../diagnose/evidence.ts';

export function readCertificate(
  { address, tls }: VaultSettings,
  timeoutMs: number,
): Promise<CertificateFacts | undefined> {
  const { hostname, port } = new URL(address);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const servername = tls.serverName ?? (/^[\d.]+$|:/.test(host) ? '' : host);
    const options = { host, port: Number(port || 443), servername, rejectUnauthorized: false, timeout: timeoutMs };
    const socket = connect(options, () => {
      const { subjectaltname = '', issuer } = socket.getPeerCertificate();
      socket.destroy();
      resolve({ names: subjectaltname || 'no host name', issuer: String(issuer?.CN ?? 'an unnamed CA') });
    });
    const giveUp = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.on('error', giveUp).on('timeout', giveUp);
  });
}
