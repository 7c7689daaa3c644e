// What happened to each exchange lately: its last call to Vault, and its failures within the last hour. For the status only.

import type { ErrorCode } from '../core/errors.ts';
import type { RecentStatus } from '../core/status.ts';
import type { Operation } from '../core/vault-protocol.ts';

const MINUTE_MS = 60_000;
const WINDOW_MINUTES = 60;

interface Recent {
  lastCall: RecentStatus['lastCall'];
  /** by code: the failures of each minute, oldest first */
  readonly failures: Map<ErrorCode, { minute: number; count: number; at: number }[]>;
}

export type RecentLog = ReturnType<typeof openRecent>;

/** Instants are epoch milliseconds on the wall clock. */
export function openRecent() {
  const exchanges = new Map<string, Recent>();

  function recentOf(exchange: string): Recent {
    const known = exchanges.get(exchange) ?? { lastCall: undefined, failures: new Map() };
    exchanges.set(exchange, known);
    return known;
  }

  function failed(exchange: string, code: ErrorCode, at: number): void {
    const { failures } = recentOf(exchange);
    const minute = Math.floor(at / MINUTE_MS);
    const minutes = (failures.get(code) ?? []).filter((one) => isRecent(one, at));
    const last = minutes.at(-1);
    if (last?.minute === minute) Object.assign(last, { count: last.count + 1, at });
    else minutes.push({ minute, count: 1, at });
    failures.set(code, minutes);
  }

  return {
    called(exchange: string, operation: Operation, code: 'ok' | ErrorCode, at: number): void {
      recentOf(exchange).lastCall = { operation, code, at };
      if (code !== 'ok') failed(exchange, code, at);
    },
    failed,
    removed: (exchange: string) => void exchanges.delete(exchange),
    /** Returns the failures with the latest one first. */
    statusOf(exchange: string, now: number): RecentStatus {
      const known = exchanges.get(exchange);
      const counted = [...(known?.failures ?? [])].flatMap(([code, minutes]) => {
        const recent = minutes.filter((one) => isRecent(one, now));
        const at = recent.at(-1)?.at;
        return at === undefined ? [] : [{ code, count: recent.reduce((sum, one) => sum + one.count, 0), at }];
      });
      return { lastCall: known?.lastCall, failures: counted.sort((a, b) => b.at - a.at) };
    },
  };
}

/** Reports whether the minute is within the window. One that is ahead comes from a clock that was set back. */
function isRecent({ minute }: { readonly minute: number }, at: number): boolean {
  const now = Math.floor(at / MINUTE_MS);
  return minute > now - WINDOW_MINUTES && minute <= now;
}
