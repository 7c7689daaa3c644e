// The token API on a port of its own, with fake exchanges and a clock that a test sets.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { CallerToken } from '../../src/http/caller-token.ts';
import { closeApp } from '../../src/http/limits.ts';
import { buildTokenApi } from '../../src/http/token-api.ts';
import { fakeView } from './fake-view.ts';

export async function openTokenApi(
  t: TestContext,
  { views = [fakeView()], callerToken }: { views?: ReturnType<typeof fakeView>[]; callerToken?: CallerToken } = {},
) {
  let now = 0;
  const app = buildTokenApi({
    exchanges: () => views,
    listen: { host: '127.0.0.1', port: 0 },
    now: () => now,
    callerToken,
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => closeApp(app));
  const port = Number(new URL(url).port);
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(url + path, { method, headers: { 'x-vault-request': 'true', ...headers } });
  const [view] = views;
  assert.ok(view);
  return { app, view, get, port, url, later: (ms: number) => (now += ms) };
}
