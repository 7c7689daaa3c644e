// A server in front of the in-memory Vault that keeps the requests that reach it, and answers some of them itself.

import type { TestContext } from 'node:test';
import { listenOn, type PlainReply, type PlainRequest, type TlsPair } from '../../src/dev/listen.ts';

export interface Gate {
  readonly url: string;
  readonly requests: readonly PlainRequest[];
  /** Answers a request in Vault's place, unless it returns undefined. */
  answer: (request: PlainRequest) => PlainReply | undefined;
}

export async function openGate(t: TestContext, target: string, tls?: TlsPair): Promise<Gate> {
  const requests: PlainRequest[] = [];
  const { url, close } = await listenOn(tls === undefined ? {} : { tls }, async (request) => {
    requests.push(request);
    return gate.answer(request) ?? forward(target, request);
  });
  const gate: Gate = { url, requests, answer: () => undefined };
  t.after(close);
  return gate;
}

async function forward(target: string, { method, path, headers, body }: PlainRequest): Promise<PlainReply> {
  const kept = ['x-vault-token', 'x-vault-namespace'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const reply = await fetch(`${target}${path}`, {
    method,
    headers: Object.fromEntries(kept),
    ...(body === '' ? {} : { body }),
  });
  return { status: reply.status, body: await reply.text() };
}
