// Stand-ins for the endpoints that issue JWTs: the metadata services of Google Cloud and Azure, the token endpoint of GitHub
// and Forgejo Actions, and Vault's SPIFFE engine. Each one checks requests, and refuses them, as its documentation says.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { listen } from './listening.ts';
import type { Scope } from './scope.ts';

export interface JwtEndpoint {
  /** scheme://host:port */
  readonly origin: string;
  /** the requests, as METHOD path?query */
  readonly requests: readonly string[];
  /** Answers the next requests with this reply; undefined: normally again. */
  fail(reply: Failing | undefined): void;
}

export interface Failing {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

type Answer = (asked: Asked, reply: ServerResponse) => void | Promise<void>;

interface Asked {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly body: string;
}

async function openEndpoint(t: Scope, answer: Answer): Promise<JwtEndpoint> {
  const requests: string[] = [];
  let failing: Failing | undefined;
  const server = createServer(async (request, reply) => {
    requests.push(`${request.method} ${request.url}`);
    const body = Buffer.concat(await request.toArray()).toString();
    const url = new URL(request.url ?? '', 'http://endpoint');
    if (failing !== undefined) reply.writeHead(failing.status, failing.headers).end(failing.body);
    else await answer({ request, url, body }, reply);
  });
  const origin = `http://127.0.0.1:${await listen(t, server)}`;
  return { origin, requests, fail: (reply) => (failing = reply) };
}

const json = (reply: ServerResponse, status: number, body: unknown) =>
  void reply.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));

/** https://cloud.google.com/compute/docs/instances/verifying-instance-identity#request_signature */
export const openGoogleMetadata = (t: Scope, mint: (audience: string) => Promise<string>): Promise<JwtEndpoint> =>
  openEndpoint(t, async ({ request, url }, reply) => {
    const page = (status: number, text: string) =>
      void reply.writeHead(status, { 'content-type': 'text/html; charset=UTF-8' }).end(text);
    reply.setHeader('Metadata-Flavor', 'Google');
    reply.setHeader('Server', 'Metadata Server for VM');
    if (request.headers['metadata-flavor'] !== 'Google' || request.headers['x-forwarded-for'] !== undefined)
      return page(403, '<!DOCTYPE html>\n<title>Error 403 (Forbidden)!!1</title>');
    if (url.pathname !== '/computeMetadata/v1/instance/service-accounts/default/identity')
      return page(404, '<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>');
    const audience = url.searchParams.get('audience') ?? '';
    if (audience === '') return page(400, 'non-empty audience parameter required\n');
    reply.writeHead(200, { 'content-type': 'text/html' }).end(await mint(audience));
  });

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
export const openAzureMetadata = (t: Scope, mint: (resource: string) => Promise<string>): Promise<JwtEndpoint> =>
  openEndpoint(t, async ({ request, url }, reply) => {
    const refuse = (error_description: string) => json(reply, 400, { error: 'invalid_request', error_description });
    if (request.headers['metadata'] !== 'true') return refuse('Required metadata header not specified');
    if (request.headers['x-forwarded-for'] !== undefined) return refuse('Bad request');
    if (url.pathname !== '/metadata/identity/oauth2/token') return json(reply, 404, { error: 'Not found' });
    for (const name of ['api-version', 'resource'])
      if (!url.searchParams.get(name)) return refuse(`Required query variable '${name}' is missing`);
    const resource = url.searchParams.get('resource') ?? '';
    const access_token = await mint(resource);
    json(reply, 200, { access_token, client_id: 'c', expires_in: '86399', resource, token_type: 'Bearer' });
  });

/** https://docs.github.com/actions/reference/security/oidc; Forgejo implements the same protocol. */
export const openActionsEndpoint = (
  t: Scope,
  { token, mint }: { readonly token: string; mint(audience: string): Promise<string> },
): Promise<JwtEndpoint> =>
  openEndpoint(t, async ({ request, url }, reply) => {
    if (request.headers.authorization?.toLowerCase() !== `bearer ${token}`.toLowerCase())
      return json(reply, 401, { message: `Bad credentials: ${request.headers.authorization}` });
    const value = await mint(url.searchParams.get('audience') ?? 'https://github.com/octo-org');
    json(reply, 200, { count: value.length, value });
  });

/** https://developer.hashicorp.com/vault/api-docs/secret/spiffe */
export const openSpiffeEngine = (
  t: Scope,
  { token, mint }: { readonly token: string; mint(audience: string): Promise<string> },
): Promise<JwtEndpoint> =>
  openEndpoint(t, async ({ request, url, body }, reply) => {
    if (request.headers['x-vault-token'] !== token) return json(reply, 403, { errors: ['permission denied'] });
    if (request.method !== 'POST' || url.pathname !== '/v1/spiffe/role/app/mintjwt')
      return json(reply, 404, { errors: [] });
    const { audience } = JSON.parse(body) as { audience?: string };
    if (audience === undefined) return json(reply, 400, { errors: ['missing audience'] });
    json(reply, 200, { data: { token: await mint(audience) } });
  });
