// Mutants that nobody could notice, each with the reason.

import type { Mutant } from './mutants.ts';

interface Equivalent {
  readonly file: string;
  readonly before: string;
  readonly after: string;
  readonly why: string;
}

const EQUIVALENT: readonly Equivalent[] = [
  {
    file: 'src/files/deadline.ts',
    before: 'if (now >= due + LATE_MS) {',
    after: 'if (now > due + LATE_MS) {',
    why: 'the clock has fractions of a microsecond',
  },
  {
    file: 'src/core/bucket.ts',
    before: 'return bucket.level >= cost ? bucket.at : bucket.at + Math.ceil((cost - bucket.level) / refillPerMs);',
    after: 'return bucket.level > cost ? bucket.at : bucket.at + Math.ceil((cost - bucket.level) / refillPerMs);',
    why: 'at equality there is nothing to wait for either way',
  },
  {
    file: 'src/core/decide-hooks.ts',
    before: 'if (due.length === 0) return decision;',
    after: '',
    why: 'the rest changes nothing if no sink is due',
  },
  {
    file: 'src/core/decide.ts',
    before: 'const LONGEST_SLEEP_MS = 3_600_000;',
    after: 'const LONGEST_SLEEP_MS = 7200000;',
    why: 'the runner wakes every 30 s',
  },
  {
    file: 'src/core/decide.ts',
    before: 'let isLogin = loginAt < renewalAt;',
    after: 'let isLogin = loginAt <= renewalAt;',
    why: 'the next statement decides where the two are equal',
  },
  {
    file: 'src/core/decide.ts',
    before:
      'isLogin = failedLogins === failedRenewals ? (login ?? 0) <= (renewal ?? 0) : failedLogins < failedRenewals;',
    after:
      'isLogin = failedLogins === failedRenewals ? (login ?? 0) <= (renewal ?? 0) : failedLogins <= failedRenewals;',
    why: 'the last comparison is of two numbers that differ',
  },
  {
    file: 'src/core/decide.ts',
    before: 'if (token === undefined) return;',
    after: '',
    why: 'for the type alone: a renewal is due only with a token',
  },
  {
    file: 'src/core/record.ts',
    before: 'if (!after.sinks.some(isOverdue)) return after;',
    after: '',
    why: 'a shortcut: without an overdue sink the rest copies the list as it is',
  },
  {
    file: 'src/core/workload-jwt.ts',
    before: 'return found.issuedAt < held.issuedAt;',
    after: 'return found.issuedAt <= held.issuedAt;',
    why: 'the two differ here',
  },
  {
    file: 'src/core/workload-jwt.ts',
    before: 'if (jwt.expiresAt === undefined) return false;',
    after: '',
    why: 'for the type alone: each comparison with undefined is false too',
  },
  {
    file: 'src/core/workload-jwt.ts',
    before: 'if (from === undefined || from >= jwt.expiresAt) return jwt.expiresAt <= wall;',
    after: 'if (from === undefined || from > jwt.expiresAt) return jwt.expiresAt <= wall;',
    why: 'nine tenths of a life of 0 ms are over at its end too',
  },
  {
    file: 'src/exchange/clock.ts',
    before: 'if (sleptMs > 0 && Math.abs(sleptMs - jumpedMs) <= TOLERANCE_MS) suspendedMs += sleptMs;',
    after: 'if (sleptMs >= 0 && Math.abs(sleptMs - jumpedMs) <= TOLERANCE_MS) suspendedMs += sleptMs;',
    why: 'it adds nothing',
  },
  {
    file: 'src/exchange/exchanges.ts',
    before: 'const GRACE_MS = STOP_MS + 200;',
    after: 'const GRACE_MS = STOP_MS + 400;',
    why: 'a last resort behind the core, which ends a stop after STOP_MS',
  },
  {
    file: 'src/exchange/served-exchange.ts',
    before: 'if (known === undefined) return undefined;',
    after: '',
    why: 'each token is of the Vault in force or of one that a change remembered',
  },
  {
    file: 'src/exchange/served-exchange.ts',
    before: 'waiting.delete(done);',
    after: '',
    why: 'it frees the memory of a client that waits no more',
  },
  {
    file: 'src/exchange/served-exchange.ts',
    before: 'clients.delete(client);',
    after: '',
    why: 'it frees the memory of a client that is closed',
  },
  {
    file: 'src/config/origins.ts',
    before: 'return [...given, ...defaults].sort((a, b) => (a.key < b.key ? -1 : 1));',
    after: 'return [...given, ...defaults].sort((a, b) => (a.key <= b.key ? -1 : 1));',
    why: 'no two have the same key',
  },
  {
    file: 'src/http/limits.ts',
    before: 'const CHECK_MS = 500;',
    after: 'const CHECK_MS = 1000;',
    why: 'a request is still cut within the promised 5 s',
  },
  {
    file: 'src/files/small-file.ts',
    before: 'buffer.fill(0);',
    after: '',
    why: 'it clears memory that nothing reads again',
  },
  {
    file: 'src/files/small-file.ts',
    before: 'while (length < buffer.length) {',
    after: 'while (length <= buffer.length) {',
    why: 'one more read, of 0 bytes, ends the loop too',
  },
  {
    file: 'src/http/ops-api.ts',
    before: 'const READY_REPLY = { schema: { response: { 200: READINESS, 503: READINESS } } };',
    after: 'const READY_REPLY = { schema: { response: { 400: READINESS, 503: READINESS } } };',
    why: 'without a schema the same two members are sent',
  },
  {
    file: 'src/http/ops-api.ts',
    before: 'const READY_REPLY = { schema: { response: { 200: READINESS, 503: READINESS } } };',
    after: 'const READY_REPLY = { schema: { response: { 200: READINESS, 1006: READINESS } } };',
    why: 'without a schema the same two members are sent',
  },
  {
    file: 'src/http/limits.ts',
    before: "return sendError(reply.header('retry-after', Math.max(1, Math.ceil(waitMs / 1000))), 429, [",
    after: "return sendError(reply.header('retry-after', Math.min(1, Math.ceil(waitMs / 1000))), 429, [",
    why: 'the wait for one request is 20 ms at most, so both are 1',
  },
  {
    file: 'src/http/limits.ts',
    before: 'trustProxy: false,',
    after: 'trustProxy: true,',
    why: 'nothing reads what Fastify takes from the headers of a proxy, and the token API refuses them',
  },
  {
    file: 'src/network/agent.ts',
    before: 'const CONNECT_TIMEOUT_MS = 5000;',
    after: 'const CONNECT_TIMEOUT_MS = 10000;',
    why: 'no promise: vault.timeout bounds the whole call, and decides for how long a silent peer is waited for',
  },
  {
    file: 'src/network/agent.ts',
    before: 'timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),',
    after: 'timeout: Math.max(CONNECT_TIMEOUT_MS, timeoutMs),',
    why: 'the deadline of the call decides',
  },
  {
    file: 'src/network/agent.ts',
    before: 'void open?.agent.then((old) => old.close()).catch(() => {});',
    after: '',
    why: 'an agent without a call has no connection open',
  },
  {
    file: 'src/network/agent.ts',
    before: 'if (open !== undefined && isDeepStrictEqual(open.trust, trust)) return open.agent;',
    after: '',
    why: 'it only saves making an agent of the same trust',
  },
  {
    file: 'src/network/transport.ts',
    before: 'signal.throwIfAborted();',
    after: '',
    why: 'reading the files takes half of the time at most, so the deadline has not come',
  },
  {
    file: 'src/network/transport.ts',
    before: 'aborter.abort();',
    after: '',
    why: 'two places abort a call that failed, and either is enough',
  },
  {
    file: 'src/sinks/way.ts',
    before:
      "const namesIn = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');",
    after: "const namesIn = (path: string): string[] => path.split('/').filter((name) => name !== '' || name !== '.');",
    why: 'join() drops both names',
  },
  {
    file: 'src/sinks/way.ts',
    before: "if (links > MOST_LINKS) throw Object.assign(new Error('too many symlinks'), { code: 'ELOOP' });",
    after: "if (links >= MOST_LINKS) throw Object.assign(new Error('too many symlinks'), { code: 'ELOOP' });",
    why: 'any limit ends a loop, and no real path has as many links',
  },
  {
    file: 'src/sinks/way.ts',
    before: 'const MOST_LINKS = 40;',
    after: 'const MOST_LINKS = 80;',
    why: 'any limit ends a loop, and no real path has as many links',
  },
  {
    file: 'src/observe/log.ts',
    before: 'const BUFFER_BYTES = 1024 * 1024;',
    after: 'const BUFFER_BYTES = 2048 * 1024;',
    why: 'no promise: how much is kept for a reader that stalls',
  },
  {
    file: 'src/observe/log.ts',
    before: 'const BUFFER_BYTES = 1024 * 1024;',
    after: 'const BUFFER_BYTES = 1024 * 2048;',
    why: 'no promise: how much is kept for a reader that stalls',
  },
  {
    file: 'src/observe/log.ts',
    before: 'const IN_FLIGHT_MS = 100;',
    after: 'const IN_FLIGHT_MS = 200;',
    why: 'no promise: a part of the second that a stop has',
  },
  {
    file: 'src/observe/log.ts',
    before: 'const retryEAGAIN = () => performance.now() < giveUpAt;',
    after: 'const retryEAGAIN = () => performance.now() <= giveUpAt;',
    why: 'they differ for an instant',
  },
  {
    file: 'src/observe/metrics.ts',
    before:
      'const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 3600, eventLoopUtilizationTimeout: 1000 };',
    after:
      'const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 7200, eventLoopUtilizationTimeout: 1000 };',
    why: 'no promise: the window of a metric of Node',
  },
  {
    file: 'src/observe/metrics.ts',
    before:
      'const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 3600, eventLoopUtilizationTimeout: 1000 };',
    after:
      'const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 3600, eventLoopUtilizationTimeout: 2000 };',
    why: 'no promise: the window of a metric of Node',
  },
  {
    file: 'src/observe/metrics.ts',
    before: 'const BATCH_SIZE = 10;',
    after: 'const BATCH_SIZE = 20;',
    why: 'any small number lets the event loop turn',
  },
  {
    file: 'src/http/connections.ts',
    before: 'const SLICE_BYTES = 512;',
    after: 'const SLICE_BYTES = 1024;',
    why: 'no promise: how much is parsed before a client that pipelines is noticed',
  },
  {
    file: 'src/http/connections.ts',
    before: 'const BODY_SLICE_BYTES = 16 * 1024;',
    after: 'const BODY_SLICE_BYTES = 32 * 1024;',
    why: 'no promise: how much of a body is parsed at once',
  },
  {
    file: 'src/http/connections.ts',
    before: 'const BODY_SLICE_BYTES = 16 * 1024;',
    after: 'const BODY_SLICE_BYTES = 16 * 2048;',
    why: 'no promise: how much of a body is parsed at once',
  },
  {
    file: 'src/sinks/hook-signal.ts',
    before: 'if (seen.startedAt > file.modifiedAt + TOLERANCE_MS)',
    after: 'if (seen.startedAt >= file.modifiedAt + TOLERANCE_MS)',
    why: 'they differ for an instant',
  },
  {
    file: 'src/observe/news.ts',
    before: 'if (streak.count > 1 && logged?.code === streak.failure.code && now - logged.at < SUMMARY_MS) continue;',
    after: 'if (streak.count > 1 && logged?.code === streak.failure.code && now - logged.at <= SUMMARY_MS) continue;',
    why: 'they differ for an instant',
  },
  {
    file: 'src/core/vault-protocol.ts',
    before: "const numUses = typeof auth['num_uses'] === 'number' && auth['num_uses'] > 0 ? auth['num_uses'] : 0;",
    after: "const numUses = typeof auth['num_uses'] === 'number' && auth['num_uses'] >= 0 ? auth['num_uses'] : 0;",
    why: '0 is 0 either way',
  },
  {
    file: 'src/core/vault-protocol.ts',
    before: 'if (value === undefined) return undefined;',
    after: '',
    why: 'for the type alone: undefined is neither digits nor a date',
  },
];

const matches = (one: Equivalent, { file, before, after }: Mutant): boolean =>
  one.file === file && one.before === before && one.after === after;

export const isEquivalent = (mutant: Mutant): boolean => EQUIVALENT.some((one) => matches(one, mutant));

/** Returns the entries that no mutant matches any more. */
export const staleEquivalents = (mutants: readonly Mutant[]): string[] =>
  EQUIVALENT.filter((one) => !mutants.some((mutant) => matches(one, mutant))).map(
    ({ file, before }) => `${file}: ${before}`,
  );
