// Faults of files: a workload JWT that is missing, incomplete, old, unreadable or without file events; sinks that are
// full, slow, hanging or modified by others.

import type { ErrorCode } from '../../src/core/errors.ts';
import type { Chance } from '../support/random.ts';
import type { Kind, Ongoing } from './faults.ts';
import type { Life } from './life.ts';
import { type Fault, HOUR, MINUTE, SECOND, type Setup, SLOW_MS, SOON_MS } from './plan.ts';

const nameOf = ({ args }: Fault): string => String(args['exchange']);
const jwtPath = (fault: Fault): string => `/jwt/${nameOf(fault)}`;

const pickFed = (chance: Chance, { exchanges }: Setup) => ({
  exchange: chance.pick(exchanges.filter(({ source }) => source.kind === 'file')).name,
});

/** The path of a sink; 'none' if no exchange has one. */
const pickSink = (chance: Chance, { exchanges }: Setup) => {
  const paths = exchanges.flatMap(({ sinks }) => sinks.map(({ path }) => path));
  return { path: paths.length === 0 ? 'none' : chance.pick(paths) };
};

/** A fault of an exchange's JWT file, under which the last JWT stays in use. */
function starving(life: Life, fault: Fault, end?: () => void): Ongoing {
  return {
    touches: (exchange) => life.family.feeds(nameOf(fault), exchange),
    upsets: !life.family.renewsFor(nameOf(fault)),
    // read by the next poll at the latest, then possibly the minute's wait after an expired JWT
    recoveryMs: SOON_MS + MINUTE + 1.1 * life.family.pollMs(nameOf(fault)),
    ...(end && { end }),
  };
}

/** A second trouble of a path replaces the first one: operations that hang then go on when newer ones have ended. */
function withPathTrouble(
  path: string,
  life: Life,
  trouble: { code?: ErrorCode; latencyMs?: number; isHung?: boolean },
) {
  life.host.troubles.set(path, trouble);
  return () => life.host.mend(path);
}

const CONTENTS: Readonly<Record<string, string>> = {
  empty: '',
  blank: ' \n\t\n',
  words: 'no JWT here',
  'five parts': 'a.b.c.d.e',
  html: '<html>login</html>',
  'not base64': '!!!.???.***',
  'a list': `${btoa('[]')}.${btoa('[]')}.x`.replaceAll('=', ''),
  'odd claims': `${btoa('{"alg":"none"}')}.${btoa('{"exp":"soon","iat":1e300,"nbf":-1}')}.CANARYx`.replaceAll('=', ''),
};

export const FILE_FAULTS: Readonly<Record<string, Kind>> = {
  'jwt is missing': {
    lasts: [SECOND, 3 * HOUR],
    draw: pickFed,
    begin(life, fault) {
      life.stalledIssuers.add(nameOf(fault));
      life.host.files.delete(jwtPath(fault));
      life.host.hint(jwtPath(fault));
      return starving(life, fault, () => life.resumeIssuer(nameOf(fault)));
    },
  },
  'jwt is replaced by unusable content': {
    lasts: [SECOND, 3 * HOUR],
    draw: (chance, setup) => ({ ...pickFed(chance, setup), by: chance.pick(Object.keys(CONTENTS)) }),
    begin(life, fault) {
      life.stalledIssuers.add(nameOf(fault));
      life.host.put(jwtPath(fault), CONTENTS[String(fault.args['by'])] ?? '', life.chance.pick(['whole', 'in place']));
      life.host.hint(jwtPath(fault));
      const ongoing = starving(life, fault, () => life.resumeIssuer(nameOf(fault)));
      // content in the form of a JWT is sent to Vault
      return { ...ongoing, recoveryMs: Math.max(SLOW_MS, ongoing.recoveryMs) };
    },
  },
  'jwt is written in two halves': {
    lasts: [10, 30 * SECOND],
    draw: (chance, setup) => ({ ...pickFed(chance, setup), share: chance.between(1, 99) / 100 }),
    begin(life, fault) {
      const name = nameOf(fault);
      life.writeJwt(name, { isTold: false });
      const whole = life.host.files.get(jwtPath(fault)) ?? '';
      const torn = whole.slice(0, Math.floor(whole.length * Number(fault.args['share'])));
      life.host.put(jwtPath(fault), torn, 'in place');
      life.host.hint(jwtPath(fault));
      return starving(life, fault, () => {
        if (life.host.files.get(jwtPath(fault)) !== torn) return;
        life.host.put(jwtPath(fault), whole, 'in place');
        life.host.hint(jwtPath(fault));
      });
    },
  },
  'jwt is unreadable': {
    lasts: [SECOND, 3 * HOUR],
    draw: (chance, setup) => ({
      ...pickFed(chance, setup),
      code: chance.pick(['jwt_unreadable', 'jwt_not_a_file', 'jwt_too_large', 'jwt_missing']),
    }),
    begin: (life, fault) =>
      starving(life, fault, withPathTrouble(jwtPath(fault), life, { code: fault.args['code'] as ErrorCode })),
  },
  'reading the jwt hangs': {
    lasts: [SECOND, 3 * HOUR],
    draw: pickFed,
    begin: (life, fault) => starving(life, fault, withPathTrouble(jwtPath(fault), life, { isHung: true })),
  },
  'reading the jwt is slow': {
    lasts: [SECOND, 3 * HOUR],
    draw: (chance, setup) => ({ ...pickFed(chance, setup), ms: chance.spread(10, 20_000) }),
    begin: (life, fault) =>
      starving(life, fault, withPathTrouble(jwtPath(fault), life, { latencyMs: Number(fault.args['ms']) })),
  },
  'the issuer stops': {
    lasts: [HOUR, 30 * HOUR],
    draw: pickFed,
    begin(life, fault) {
      life.stalledIssuers.add(nameOf(fault));
      return starving(life, fault, () => life.resumeIssuer(nameOf(fault)));
    },
  },
  'a jwt comes without a file event': {
    lasts: [SECOND, MINUTE],
    draw: pickFed,
    begin(life, fault) {
      life.writeJwt(nameOf(fault), { isTold: false });
      return { ...starving(life, fault), upsets: false };
    },
  },
  'two jwts come at once': {
    lasts: [SECOND, MINUTE],
    draw: (chance, setup) => ({ ...pickFed(chance, setup), ms: chance.spread(1, 6000) }),
    begin(life, fault) {
      life.writeJwt(nameOf(fault));
      life.time.at(life.time.now + Number(fault.args['ms']), () => life.writeJwt(nameOf(fault)));
      return { ...starving(life, fault), upsets: false };
    },
  },
  'an older jwt is put back': {
    lasts: [SECOND, MINUTE],
    draw: pickFed,
    begin(life, fault) {
      const path = jwtPath(fault);
      const older = life.ledger.issueJwt(nameOf(fault), life.time.now - 3 * HOUR, HOUR);
      life.host.put(path, older);
      life.host.hint(path);
      return starving(life, fault, () => life.resumeIssuer(nameOf(fault)));
    },
  },
  'the same jwt is written again': {
    lasts: [SECOND, MINUTE],
    draw: pickFed,
    begin(life, fault) {
      for (let write = 0; write < 5; write++) life.host.hint(jwtPath(fault), write * 700);
      return { touches: () => false, upsets: false, recoveryMs: 0 };
    },
  },
  'a storm of events': {
    lasts: [SECOND, 10 * SECOND],
    draw: (chance, setup) => ({ ...pickFed(chance, setup), events: chance.spread(100, 3000) }),
    begin(life, fault) {
      for (let event = 0; event < Number(fault.args['events']); event++) life.host.hint(jwtPath(fault), event);
      return { touches: () => false, upsets: false, recoveryMs: 0 };
    },
  },
  'the watcher is dead': {
    lasts: [MINUTE, 6 * HOUR],
    draw: () => ({}),
    begin(life) {
      life.host.isWatching = false;
      const end = () => {
        life.host.isWatching = true;
      };
      return { touches: () => true, upsets: false, recoveryMs: SOON_MS, end };
    },
  },
  'a sink fails': {
    lasts: [SECOND, 6 * HOUR],
    draw: (chance, setup) => ({
      ...pickSink(chance, setup),
      code: chance.pick([
        'sink_no_space',
        'sink_denied',
        'sink_owner',
        'sink_directory_missing',
        'sink_blocked',
        'sink_failed',
      ]),
    }),
    begin: (life, fault) => blocking(life, fault, { code: fault.args['code'] as ErrorCode }),
  },
  'a sink hangs': {
    lasts: [SECOND, 3 * HOUR],
    draw: pickSink,
    begin: (life, fault) => blocking(life, fault, { isHung: true }),
  },
  'a sink is slow': {
    lasts: [MINUTE, 3 * HOUR],
    draw: (chance, setup) => ({ ...pickSink(chance, setup), ms: chance.spread(100, 30_000) }),
    begin: (life, fault) => blocking(life, fault, { latencyMs: Number(fault.args['ms']) }),
  },
  "a sink's file is spoiled": {
    lasts: [SECOND, SECOND],
    draw: (chance, setup) => ({ ...pickSink(chance, setup), by: chance.pick(['gone', 'empty', 'other']) }),
    begin(life, fault) {
      const path = String(fault.args['path']);
      if (life.host.files.has(path)) {
        if (fault.args['by'] === 'gone') life.host.files.delete(path);
        else life.host.files.set(path, fault.args['by'] === 'empty' ? '' : 'somebody was here');
        life.spoiled(path);
      }
      return { touches: () => false, upsets: false, recoveryMs: 0 };
    },
  },
};

function blocking(life: Life, fault: Fault, trouble: Parameters<typeof withPathTrouble>[2]): Ongoing {
  const path = String(fault.args['path']);
  const end = withPathTrouble(path, life, trouble);
  return { touches: (exchange) => life.family.writesTo(exchange, path), upsets: true, recoveryMs: 75 * SECOND, end };
}
