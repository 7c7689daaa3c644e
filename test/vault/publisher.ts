// Publishes issuers under their real names, such as https://k8s-prod.oidc.pub. Vault trusts the test's CA, and uses a
// proxy that connects each name to a local port.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { TestContext } from 'node:test';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { makeCa, type TestCa } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/temporary.ts';

export interface Publisher {
  readonly ca: TestCa;
  /** environment variables for Vault */
  readonly environment: Readonly<Record<string, string>>;
  /** Opens an issuer at https://<host>. */
  publish(host: string): Promise<Issuer>;
  /** Connects https://<host> to a running server. */
  lead(host: string, port: number): void;
}

export async function openPublisher(t: TestContext): Promise<Publisher> {
  const ca = makeCa(await temporaryDirectory(t));
  const ports = new Map<string, number>();
  const proxy = createServer();
  proxy.on('connect', (request, client, head) => {
    const port = ports.get(String(request.url).replace(/:443$/, ''));
    if (port === undefined) {
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const server = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.write(head);
      server.pipe(client).pipe(server);
    });
    for (const end of [server, client]) end.on('error', () => [server, client].map((one) => one.destroy()));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  return {
    ca,
    environment: { HTTPS_PROXY: url, NO_PROXY: '' },
    lead: (host, port) => void ports.set(host, port),
    async publish(host) {
      const issuer = await openIssuer({ issuer: `https://${host}`, tls: ca.issue({ name: host }) });
      t.after(() => issuer.close());
      ports.set(host, Number(new URL(issuer.url).port));
      return issuer;
    },
  };
}
