// The files of vault.tls, reread at each call: calls are minutes apart, so a rotated CA or client certificate needs no
// watcher to be used. Bad files are refused here, before TLS would fail in a way that nobody understands.

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ExchangeError } from '../core/errors.ts';
import type { TlsSettings } from '../core/settings.ts';

export interface Trust {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** @throws ExchangeError vault_tls_files naming the file */
export async function readTrust({ ca, caFile, clientCertFile, clientKeyFile }: TlsSettings): Promise<Trust> {
  const trust = {
    ...(ca === undefined ? {} : { ca }),
    ...(caFile === undefined ? {} : { ca: await readPem(caFile, 'CERTIFICATE') }),
    ...(clientCertFile === undefined ? {} : { cert: await readPem(clientCertFile, 'CERTIFICATE') }),
    ...(clientKeyFile === undefined ? {} : { key: await readPem(clientKeyFile, 'PRIVATE KEY') }),
  };
  try {
    if (trust.ca !== undefined) new X509Certificate(trust.ca);
    createSecureContext(trust);
  } catch {
    const files = [caFile, clientCertFile, clientKeyFile].filter((file) => file !== undefined);
    throw new ExchangeError('vault_tls_files', `${files.join(', ')}: not usable, or certificate and key are no pair`);
  }
  return trust;
}

async function readPem(path: string, label: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ExchangeError('vault_tls_files', `${path}: ${error.code}`);
  });
  if (!text.includes(`${label}-----`))
    throw new ExchangeError('vault_tls_files', `${path}: holds no PEM ${label.toLowerCase()}`);
  return text;
}
