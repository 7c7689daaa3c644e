// Reads the files of a tls section, at each call, so that a rotated CA or client certificate is used without a watch.
// Unusable files are refused here, because the TLS errors that they cause later are hard to understand.

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { defined } from '../core/defined.ts';
import { ExchangeError } from '../core/errors.ts';
import type { TlsSettings } from '../core/settings.ts';
import { isFileProblem, readSmallFile } from '../files/small-file.ts';

/** Four times the size of a distribution's CA bundle. */
const MOST_BYTES = 1024 * 1024;

export interface Trust {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** @throws ExchangeError vault_tls_files, also at the deadline; its facts name the file */
export async function readTrust(
  { ca, caFile, clientCertFile, clientKeyFile }: TlsSettings,
  deadlineMs: number,
): Promise<Trust> {
  const [fromFile, cert, key] = await Promise.all([
    readPem(caFile, 'CERTIFICATE', deadlineMs),
    readPem(clientCertFile, 'CERTIFICATE', deadlineMs),
    readPem(clientKeyFile, 'PRIVATE KEY', deadlineMs),
  ]);
  const trusted = fromFile ?? ca;
  const trust = {
    ...defined({ ca: trusted, cert, key }),
  };
  try {
    if (trust.ca !== undefined) new X509Certificate(trust.ca);
    createSecureContext(trust);
  } catch {
    const files = [caFile, clientCertFile, clientKeyFile].filter((file) => file !== undefined);
    throw new ExchangeError('vault_tls_files', { kind: 'tls-files', paths: files });
  }
  return trust;
}

async function readPem(
  path: string | undefined,
  label: 'CERTIFICATE' | 'PRIVATE KEY',
  deadlineMs: number,
): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const file = await readSmallFile(path, { mostBytes: MOST_BYTES, deadlineMs });
  if (isFileProblem(file)) throw new ExchangeError('vault_tls_files', { kind: 'file', path, ...file });
  if (!file.text.includes(`${label}-----`))
    throw new ExchangeError('vault_tls_files', {
      kind: 'file',
      path,
      problem: label === 'CERTIFICATE' ? 'no-certificate' : 'no-private-key',
    });
  return file.text;
}
