// A CA and certificates for tests, made by openssl when they are needed.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCa extends Pair {
  issue(wish?: { name?: string }): Pair;
}

const openssl = (directory: string, ...args: string[]): void => {
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
};

/** @param directory where the files may be left */
export function makeCa(directory: string, name = 'ca'): TestCa {
  const read = (file: string) => readFileSync(join(directory, file), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    directory,
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  let serial = 0;
  return {
    cert: read(`${name}.pem`),
    key: read(`${name}.key`),
    issue({ name: host = '127.0.0.1' } = {}) {
      serial += 1;
      const leaf = `${name}-${serial}`;
      const kind = /^[\d.]+$/.test(host) ? 'IP' : 'DNS';
      writeFileSync(join(directory, `${leaf}.ext`), `subjectAltName=${kind}:${host}\n`);
      openssl(directory, 'req', ...newKey, '-keyout', `${leaf}.key`, '-out', `${leaf}.csr`, '-subj', `/CN=${host}`);
      const signed = [
        '-CA',
        `${name}.pem`,
        '-CAkey',
        `${name}.key`,
        '-set_serial',
        String(serial),
        '-extfile',
        `${leaf}.ext`,
      ];
      openssl(directory, 'x509', '-req', '-in', `${leaf}.csr`, '-out', `${leaf}.pem`, ...signed, '-days', '2');
      return { cert: read(`${leaf}.pem`), key: read(`${leaf}.key`) };
    },
  };
}
