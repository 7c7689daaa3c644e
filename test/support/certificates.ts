// A CA and certificates for tests, created by openssl on demand.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface TestCa extends Pair {
  /** the file with its certificate */
  readonly file: string;
  /** @param wish `days` is the start and end of its validity, relative to now; by default two days from now */
  issue(wish?: { name?: string; days?: readonly [number, number] }): Pair;
}

const openssl = (directory: string, ...args: string[]): void => {
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
};

const CA_CONFIG = `[ca]
default_ca = any
[any]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = names
rand_serial = yes
unique_subject = no
[names]
commonName = supplied
`;

const asn1Time = (days: number): string =>
  `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;

/** @param directory where openssl leaves its files */
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
    file: join(directory, `${name}.pem`),
    cert: read(`${name}.pem`),
    key: read(`${name}.key`),
    issue({ name: host = '127.0.0.1', days } = {}) {
      serial += 1;
      const leaf = `${name}-${serial}`;
      const kind = /^[\d.]+$/.test(host) ? 'IP' : 'DNS';
      writeFileSync(join(directory, `${leaf}.ext`), `subjectAltName=${kind}:${host}\n`);
      openssl(directory, 'req', ...newKey, '-keyout', `${leaf}.key`, '-out', `${leaf}.csr`, '-subj', `/CN=${host}`);
      const signed = ['-in', `${leaf}.csr`, '-out', `${leaf}.pem`, '-extfile', `${leaf}.ext`];
      if (days === undefined) {
        const ca = ['-CA', `${name}.pem`, '-CAkey', `${name}.key`, '-set_serial', String(serial)];
        openssl(directory, 'x509', '-req', ...ca, ...signed, '-days', '2');
      } else {
        // `openssl ca` is the only command of OpenSSL 3.0 that sets both dates
        writeFileSync(join(directory, 'index.txt'), '');
        writeFileSync(join(directory, 'ca.cnf'), CA_CONFIG);
        const ca = ['-config', 'ca.cnf', '-cert', `${name}.pem`, '-keyfile', `${name}.key`, '-notext', '-batch'];
        const [from, to] = days.map(asn1Time);
        openssl(directory, 'ca', ...ca, ...signed, '-startdate', from ?? '', '-enddate', to ?? '');
      }
      return { cert: read(`${leaf}.pem`), key: read(`${leaf}.key`) };
    },
  };
}
