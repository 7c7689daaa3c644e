// Faults of the process and its machine: kills, restart loops, sleeps, late timers, clock jumps; and operations: stops,
// reloads, refreshes.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import { withIdentityAddresses } from './family.ts';
import type { Kind, Ongoing } from './faults.ts';
import { nextRole } from './faults-tokens.ts';
import type { Life } from './life.ts';
import { DAY, type Fault, HOUR, MINUTE, SECOND, SLOW_MS, SOON_MS } from './plan.ts';

/** The daemon notices a sleep within 30 s. */
const WAKING_MS = SOON_MS + 35 * SECOND;

/** A fault without any visible effect. */
const UNNOTICED: Ongoing = { touches: () => false, upsets: false, recoveryMs: 0 };

function onEverything(upsets: boolean, recoveryMs: number, end?: () => void): Ongoing {
  return { touches: () => true, upsets, recoveryMs, ...(end && { end }) };
}

/** The settings with one exchange changed. */
function changed(life: Life, name: string, change: (one: ExchangeSettings) => ExchangeSettings): ExchangeSettings[] {
  return life.settings.map((one) => (one.name === name ? change(one) : one));
}

const pickExchange: Kind['draw'] = (chance, { exchanges }) => ({ exchange: chance.pick(exchanges).name });

export const PROCESS_FAULTS: Readonly<Record<string, Kind>> = {
  'killed and started again': {
    lasts: [2 * SECOND, HOUR],
    draw: (chance) => ({ downMs: chance.spread(100, 10 * MINUTE) }),
    begin(life, fault) {
      life.kill();
      life.time.at(life.time.now + Math.min(Number(fault.args['downMs']), fault.forMs - SECOND), () => life.start());
      return onEverything(true, SOON_MS);
    },
  },
  'killed repeatedly': {
    lasts: [10 * SECOND, 10 * MINUTE],
    draw: (chance) => ({ everyMs: chance.spread(500, 10_000) }),
    begin(life, fault) {
      const end = life.time.now + fault.forMs;
      const again = () => {
        life.kill();
        life.start();
        const next = life.time.now + Number(fault.args['everyMs']);
        if (next < end) life.time.at(next, again);
      };
      again();
      return onEverything(true, SOON_MS);
    },
  },
  'stopped and started again': {
    lasts: [10 * SECOND, HOUR],
    draw: () => ({}),
    begin(life) {
      life.stop();
      life.time.at(life.time.now + 6 * SECOND, () => {
        life.kill();
        life.start();
      });
      return onEverything(true, SOON_MS);
    },
  },
  'results are lost': {
    lasts: [SECOND, HOUR],
    draw: (chance) => ({ share: chance.pick([0.02, 0.1, 0.5]) }),
    begin(life, fault) {
      life.host.lostShare = Number(fault.args['share']);
      const end = () => {
        life.host.lostShare = 0;
      };
      // after several lost readings, the next one comes with the next poll
      const pollMs = Math.max(...life.names().map((name) => life.family.pollMs(name)));
      return onEverything(true, SLOW_MS + 1.1 * pollMs, end);
    },
  },
  'the process is stopped': {
    lasts: [SECOND, HOUR],
    draw: () => ({}),
    begin(life, fault) {
      life.hold(fault.forMs);
      life.shake(life.names());
      return onEverything(true, SOON_MS);
    },
  },
  'the machine sleeps': {
    lasts: [MINUTE, 3 * DAY],
    draw: () => ({}),
    begin(life, fault) {
      life.sleep(fault.forMs);
      life.shake(life.names());
      return onEverything(true, WAKING_MS);
    },
  },
  'timers are late': {
    lasts: [MINUTE, 6 * HOUR],
    draw: (chance) => ({ ms: chance.spread(10, 5000) }),
    begin(life, fault) {
      life.lateBy.set(fault.id, Number(fault.args['ms']));
      return onEverything(false, SOON_MS, () => void life.lateBy.delete(fault.id));
    },
  },
  'the wall clock jumps': {
    lasts: [SECOND, DAY],
    draw: (chance) => ({ ms: chance.pick([-1, 1]) * chance.spread(SECOND, DAY) }),
    begin(life, fault) {
      life.time.wallOffsetMs += Number(fault.args['ms']);
      const end = () => {
        life.time.wallOffsetMs -= Number(fault.args['ms']);
      };
      return { ...UNNOTICED, end };
    },
  },
  'the wall clock is in another year': {
    lasts: [SECOND, HOUR],
    draw: (chance) => ({ year: chance.pick([1970, 2001, 2038, 2106]) }),
    begin(life, fault) {
      const ms = Date.UTC(Number(fault.args['year']), 0, 1, 0, 0, 1) - life.time.now;
      life.time.wallOffsetMs += ms;
      const end = () => {
        life.time.wallOffsetMs -= ms;
      };
      return { ...UNNOTICED, end };
    },
  },
  'the wall clock flickers': {
    lasts: [10 * SECOND, 10 * MINUTE],
    draw: (chance) => ({ ms: chance.spread(SECOND, HOUR), everyMs: chance.spread(200, 20_000) }),
    begin(life, fault) {
      const until = life.time.now + fault.forMs;
      const ms = Number(fault.args['ms']);
      const flicker = (sign: number) => () => {
        life.time.wallOffsetMs += sign * ms;
        const next = life.time.now + Number(fault.args['everyMs']);
        if (next < until || sign > 0) life.time.at(next, flicker(-sign));
      };
      flicker(1)();
      return UNNOTICED;
    },
  },
  'the config is reloaded without changes': {
    lasts: [SECOND, 10 * SECOND],
    draw: (chance) => ({ times: chance.spread(1, 50) }),
    begin(life, fault) {
      for (let time = 0; time < Number(fault.args['times']); time++) life.reload(life.settings);
      return UNNOTICED;
    },
  },
  'a reload changes the role': {
    lasts: [SECOND, MINUTE],
    draw: pickExchange,
    begin(life, fault) {
      const name = String(fault.args['exchange']);
      life.reload(changed(life, name, (one) => ({ ...one, login: { ...one.login, role: nextRole(one.login.role) } })));
      return { ...onEverything(false, SOON_MS), touches: (exchange) => life.family.feeds(name, exchange) };
    },
  },
  'a reload moves an exchange to the other vault': {
    lasts: [SECOND, MINUTE],
    draw: pickExchange,
    begin(life, fault) {
      const name = String(fault.args['exchange']);
      const from = life.settings.find((one) => one.name === name)?.vault.address;
      const address = life.vaults.find((vault) => vault.address !== from)?.address ?? '';
      life.reload(withIdentityAddresses(changed(life, name, (one) => ({ ...one, vault: { ...one.vault, address } }))));
      return { ...onEverything(true, SLOW_MS), touches: (exchange) => life.family.feeds(name, exchange) };
    },
  },
  'reloads remove an exchange and add it again': {
    lasts: [SECOND, 3 * HOUR],
    draw: pickExchange,
    begin(life, fault) {
      const name = String(fault.args['exchange']);
      const taken = life.settings.find((one) => one.name === name);
      life.reload(life.settings.filter((one) => one !== taken));
      const end = () => {
        if (taken !== undefined && !life.names().includes(name))
          life.reload(withIdentityAddresses([...life.settings, taken]));
      };
      return { ...onEverything(true, SLOW_MS, end), touches: (exchange) => life.family.feeds(name, exchange) };
    },
  },
  'refreshes are requested': {
    lasts: [SECOND, 10 * MINUTE],
    draw: (chance) => ({ times: chance.spread(1, 100), everyMs: chance.spread(1, 5000) }),
    begin(life, fault) {
      const { times, everyMs } = fault.args;
      for (let time = 0; time < Number(times); time++)
        life.time.at(life.time.now + Math.min(time * Number(everyMs), fault.forMs), () => life.sidecar.refresh());
      return UNNOTICED;
    },
  },
  "the files of Vault's TLS change": {
    lasts: [SECOND, SECOND],
    draw: (chance) => ({ times: chance.spread(1, 100) }),
    begin(life: Life, fault: Fault) {
      for (let time = 0; time < Number(fault.args['times']); time++) life.host.hint('/ca/ca.pem', time * 50);
      return UNNOTICED;
    },
  },
};
