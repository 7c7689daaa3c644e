// A client of Vault's HTTP API for administrators, for the in-memory Vault and for a real one.

import assert from 'node:assert/strict';
import { Agent, request } from 'undici';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** the parsed JSON; an empty object if there is no body */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface AdminVault {
  readonly url: string;
  /** the root token */
  root: string;
  /** `path` is below /v1/. Sends the root token, unless `headers` sets another one, or an empty one for no token. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Sends a POST that must succeed. */
  write(path: string, body: unknown): Promise<Answer>;
}

export function adminOf(url: string, connect: { ca?: string; servername?: string } = {}, root = ''): AdminVault {
  const dispatcher = new Agent({ connect, pipelining: 0 });
  const admin: AdminVault = {
    url,
    root,
    async call(method, path, body, headers = {}) {
      const { 'x-vault-token': token = admin.root, ...others } = headers;
      const reply = await request(`${url}/v1/${path}`, {
        method,
        dispatcher,
        headers: {
          'content-type': 'application/json',
          ...others,
          ...(token === '' ? {} : { 'x-vault-token': token }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await reply.body.text();
      return { status: reply.statusCode, headers: reply.headers, body: text === '' ? {} : JSON.parse(text) };
    },
    async write(path, body) {
      const answer = await admin.call('POST', path, body);
      assert.ok(answer.status < 300, `${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer;
    },
  };
  return admin;
}
