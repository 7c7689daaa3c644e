// Faults of tokens: an operator revokes a single one, and restarts find no usable token in the files.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import type { Chance } from '../support/random.ts';
import { withIdentityAddresses } from './family.ts';
import type { Kind } from './faults.ts';
import type { Life } from './life.ts';
import { type Fault, HOUR, MINUTE, SECOND, type Setup, SLOW_MS, SOON_MS } from './plan.ts';

const pickExchange = (chance: Chance, { exchanges }: Setup) => ({ exchange: chance.pick(exchanges).name });

const servedBy = (life: Life, name: string) => {
  const view = life.sidecar.exchanges?.views().find((one) => one.name === name);
  const text = view?.token()?.secret.reveal() ?? '';
  const token = life.ledger.tokens.get(text);
  return { view, text, token, isDead: token !== undefined && token.expiresAt <= life.time.now };
};

/** Revokes the token that the exchange serves, if it is still valid. */
export function revokeToken(life: Life, name: string, fault: Fault, isInUse: boolean): void {
  const { text, token, isDead } = servedBy(life, name);
  if (token === undefined || isDead) return;
  token.expiresAt = 0;
  life.tokens.revoked(name, text, fault, isInUse);
}

/** An application uses the token of the exchange through the API proxy. */
function useToken(life: Life, name: string): void {
  const { view, isDead } = servedBy(life, name);
  if (isDead) view?.suspect(view.generation() ?? 0);
  life.time.touch();
}

/** Kills the process, and starts it again after `change`. */
function restart(life: Life, { args, forMs }: Fault, change: () => void): void {
  life.kill();
  change();
  life.time.at(life.time.now + Math.min(Number(args['downMs']), forMs - SECOND), () => life.start());
}

function moved(life: Life, one: ExchangeSettings, to: string): ExchangeSettings {
  const { vault, login } = one;
  const address = life.vaults.find((other) => other.address !== vault.address)?.address ?? '';
  if (to === 'vault') return { ...one, vault: { ...vault, address } };
  return { ...one, login: { ...login, role: nextRole(login.role) } };
}

export const nextRole = (role: string): string => role.replace(/\d+$/, (number) => String(Number(number) + 1));

export const TOKEN_FAULTS: Readonly<Record<string, Kind>> = {
  'an operator revokes a token': {
    // long enough for a check every ten minutes
    lasts: [12 * MINUTE, 2 * HOUR],
    draw: (chance, setup) => ({ ...pickExchange(chance, setup), use: chance.pick(['idle', 'busy']) }),
    begin(life, fault) {
      const { args, forMs } = fault;
      const name = String(args['exchange']);
      const isInUse = args['use'] === 'busy';
      revokeToken(life, name, fault, isInUse);
      // until the exchange notices, Vault grants identity tokens neither to it nor to exchanges fed by it
      const { ttlMs } = life.vaults.find(({ address }) => address === life.family.of(name)?.vault.address) ?? {};
      life.excuseIdentityExchanges(ttlMs ?? 0);
      const until = life.time.now + forMs;
      const use = () => {
        useToken(life, name);
        if (life.time.now < until) life.time.at(life.time.now + SECOND, use);
      };
      if (isInUse) use();
      return { touches: (exchange) => life.family.feeds(name, exchange), upsets: false, recoveryMs: SLOW_MS };
    },
  },
  'restarted without its files': {
    lasts: [2 * SECOND, HOUR],
    draw: (chance) => ({ downMs: chance.spread(100, 10 * MINUTE), by: chance.pick(['gone', 'empty', 'other']) }),
    begin(life, fault) {
      restart(life, fault, () => {
        for (const { path } of life.settings.flatMap(({ sinks }) => sinks))
          if (fault.args['by'] === 'gone') life.host.files.delete(path);
          else life.host.files.set(path, fault.args['by'] === 'empty' ? '' : 'somebody was here');
      });
      return { touches: () => true, upsets: true, recoveryMs: SOON_MS };
    },
  },
  'restarted with another role or vault': {
    lasts: [2 * SECOND, HOUR],
    draw: (chance, setup) => ({
      ...pickExchange(chance, setup),
      downMs: chance.spread(100, 10 * MINUTE),
      to: chance.pick(['role', 'role', 'vault']),
    }),
    begin(life, fault) {
      const { exchange, to } = fault.args;
      restart(life, fault, () => {
        const settings = life.settings.map((one) => (one.name === exchange ? moved(life, one, String(to)) : one));
        life.reload(withIdentityAddresses(settings));
      });
      return { touches: () => true, upsets: true, recoveryMs: SLOW_MS };
    },
  },
};
