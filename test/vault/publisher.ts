// Private issuers published as oidc.pub publishes them: two static documents at https://<name>.oidc.pub, pushed by a sync
// step, with "issuer" and "jwks_uri" rewritten to that host. Nothing is served below other paths. Vault trusts the test's
// CA, and reaches each name through a proxy that leads it to a port of this machine.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { TestContext } from 'node:test';
import { type Issuer, openIssuer } from '../../src/dev/issuer.ts';
import { listenOn } from '../../src/dev/listen.ts';
import { makeCa, type TestCa } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/temporary.ts';

export interface Publisher {
  readonly ca: TestCa;
  /** for Vault's environment */
  readonly environment: Readonly<Record<string, string>>;
  /** Opens a private issuer whose JWTs name https://<host>, and publishes its documents there. */
  publish(host: string): Promise<PublishedIssuer>;
  /** Publishes at https://<host> the documents of an issuer that is served below `source`. */
  follow(host: string, source: string): Promise<Published>;
  /** Leads https://<host> to a server that already listens. */
  lead(host: string, port: number): void;
}

interface Published {
  /** Pushes the source's documents as they are now, as oidc.pub's sync worker does every five minutes. */
  sync(): Promise<void>;
}

export type PublishedIssuer = Issuer & Published;

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
  const lead = (host: string, port: number) => void ports.set(host, port);
  const follow = async (host: string, source: string): Promise<Published> => {
    let documents: Readonly<Record<string, unknown>> = {};
    const site = await listenOn({ tls: ca.issue({ name: host }) }, ({ path }) =>
      Object.hasOwn(documents, path) ? { status: 200, body: documents[path] } : { status: 404, body: 'Not Found' },
    );
    t.after(() => site.close());
    lead(host, Number(new URL(site.url).port));
    const sync = async () => {
      documents = await documentsOf(source, host);
    };
    await sync();
    return { sync };
  };
  return {
    ca,
    environment: { HTTPS_PROXY: url, NO_PROXY: '' },
    lead,
    follow,
    async publish(host) {
      const issuer = await openIssuer({ issuer: `https://${host}` });
      t.after(() => issuer.close());
      return { ...issuer, ...(await follow(host, issuer.url)) };
    },
  };
}

const DISCOVERY = '/.well-known/openid-configuration';
const KEYS = '/.well-known/jwks.json';

/** Returns the documents to publish by path. The source's own "jwks_uri" may name the public host: its path counts. */
async function documentsOf(source: string, host: string): Promise<Readonly<Record<string, unknown>>> {
  const discovery = (await (await fetch(`${source}${DISCOVERY}`)).json()) as { readonly jwks_uri: string };
  const keys = await fetch(new URL(new URL(discovery.jwks_uri).pathname, source));
  return {
    [DISCOVERY]: { ...discovery, issuer: `https://${host}`, jwks_uri: `https://${host}${KEYS}` },
    [KEYS]: await keys.json(),
  };
}
