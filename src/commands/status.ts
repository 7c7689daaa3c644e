// Shows the exchanges of the running daemon as a table: phase, time left, next action. Below it, the plan of each exchange, and the
// last failure with its hint.

import { EXIT_CODES } from '../core/errors.ts';
import { linesWithoutControls, withoutControls } from '../core/secret.ts';
import type { ExchangeReply, StatusReply } from '../http/status-reply.ts';
import { askStatus } from './ask-daemon.ts';
import { asJson, type Command } from './command.ts';
import { table } from './table.ts';

export const command: Command = async (flags, io) => {
  const status = await askStatus(flags, io);
  const { api, exchanges } = status;
  const shown = [tableOf(exchanges), ...apiTrouble(api).map(withoutControls)].join('\n');
  io.out(flags['json'] === true ? linesWithoutControls(asJson(status)) : shown);
  return exchanges.every(({ ready }) => ready) ? 0 : EXIT_CODES.readiness;
};

function apiTrouble({ failure }: StatusReply['api']): readonly string[] {
  return failure
    ? [`token API: ${failure.title}${failure.evidence ? ` (${failure.evidence})` : ''}`, `  ${failure.hint}`]
    : [];
}

function tableOf(exchanges: readonly ExchangeReply[]): string {
  const now = Date.now();
  const rows = exchanges.map(({ exchange, phase, ready, token, next_action: next }) => [
    exchange,
    phase,
    ready ? 'yes' : 'no',
    token ? timeUntil(token.expires_at, now) : '-',
    next ? `${next.kind} in ${timeUntil(next.at, now)}` : '-',
  ]);
  const plans = exchanges.flatMap((one) => planOf(one, now));
  const troubles = exchanges.flatMap(({ exchange, failure, sinks }) => [
    ...(failure
      ? [
          `${exchange}: ${failure.title}${failure.evidence ? ` (${failure.evidence})` : ''}, ${failure.attempts}x`,
          `  ${failure.hint}`,
        ]
      : []),
    ...sinks.flatMap((sink) =>
      sink.failure ? [`${exchange}, ${sink.id}: ${sink.failure.title}`, `  ${sink.failure.hint}`] : [],
    ),
  ]);
  const header = ['EXCHANGE', 'PHASE', 'READY', 'TIME LEFT', 'NEXT'];
  return [table([header, ...rows]), ...[...plans, ...troubles].map(withoutControls)].join('\n');
}

/** Returns the line about what happens to the token, as far as it is known. */
function planOf({ exchange, token, next_action: next }: ExchangeReply, now: number): readonly string[] {
  const isRenewed = next?.kind === 'renew';
  const parts = [
    ...(isRenewed ? [`renews in ${timeUntil(next.at, now)}`] : []),
    ...(token?.login_at ? [`${isRenewed ? 'if renewals fail, ' : ''}logs in at ${utc(token.login_at)}`] : []),
    ...(token?.ends_at ? [`the token can't be renewed and ends at ${utc(token.ends_at)}`] : []),
  ];
  return parts.length === 0 ? [] : [`${exchange}: ${parts.join('; ')}`];
}

/** Formats an RFC 3339 instant: 2026-03-01 12:40:12 UTC. */
const utc = (instant: string): string => `${instant.slice(0, 19).replace('T', ' ')} UTC`;

/** Formats the time until an instant in its two largest units: 1h 12m, 45s; 0s if it is past. */
function timeUntil(instant: string, now: number): string {
  const seconds = Math.max(0, Math.round((Date.parse(instant) - now) / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  if (hours > 0) return `${hours}h ${minutes}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}
