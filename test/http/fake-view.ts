// An exchange for the token API to serve, with a token that a test sets; those who wait are woken by that.

import { Secret } from '../../src/core/secret.ts';
import type { VaultSettings } from '../../src/core/settings.ts';
import type { ExchangeStatus } from '../../src/core/status.ts';
import type { ExchangeView, ServedToken } from '../../src/exchange/view.ts';

const STATUS: ExchangeStatus = {
  exchange: 'app',
  phase: 'active',
  authenticated: true,
  ready: true,
  reasons: [],
  started: true,
  vault: 'https://vault.example.com:8200',
  jwt: undefined,
  token: undefined,
  failure: undefined,
  sinks: [],
  nextAction: undefined,
};

const VAULT: VaultSettings = {
  address: 'http://127.0.0.1:8200',
  tls: {},
  timeoutMs: 5000,
  redirectHosts: [],
  useProxyEnv: false,
};
const TOKEN = {
  accessor: 'acc',
  type: 'service',
  policies: ['app'],
  renewable: true,
};

export function fakeView(name = 'app', first = VAULT) {
  let vault = first;
  let token: ServedToken | undefined;
  const waiting = new Set<() => void>();
  const view = {
    name,
    refreshes: 0,
    waiting,
    set(text: string | undefined, generation = 1) {
      const expiry = { expiresAt: Date.UTC(2026, 0, 1), expiresInMs: 3_600_500 };
      token =
        text === undefined
          ? undefined
          : {
              ...TOKEN,
              origin: { address: vault.address, namespace: undefined },
              secret: new Secret(text),
              generation,
              ...expiry,
            };
      for (const wake of [...waiting]) wake();
    },
    status: () => ({ ...STATUS, exchange: name }),
    token: () => token,
    generation: () => token?.generation,
    changed: (generation: number | undefined, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          resolve();
        };
        if (signal.aborted || token?.generation !== generation) return resolve();
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      }),
    suspected: [] as number[],
    vault: () => vault,
    setVault(next: VaultSettings) {
      vault = next;
    },
    suspect: (generation: number) => void view.suspected.push(generation),
    refresh() {
      view.refreshes += 1;
    },
  } satisfies ExchangeView & Record<string, unknown>;
  return view;
}
