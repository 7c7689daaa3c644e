// All exchanges, from a reply whose texts are printable: a row for each, the plan of each, and the last failures with their hints.

import type { Paint } from '../core/paint.ts';
import type { ExchangeReply, StatusReply } from '../http/status-reply.ts';
import { planOf, timeUntil } from './status-time.ts';
import { table } from './table.ts';

export interface View {
  /** epoch milliseconds */
  readonly now: number;
  readonly paint: Paint;
}

export function describeAll({ api, exchanges }: StatusReply, { now, paint }: View): string {
  const rows = exchanges.map(({ exchange, phase, ready, token, next_action: next }) => [
    exchange,
    phase,
    ready ? 'yes' : 'no',
    token ? timeUntil(token.expires_at, now) : '-',
    next ? `${next.kind} in ${timeUntil(next.at, now)}` : '-',
  ]);
  const header = ['EXCHANGE', 'PHASE', 'READY', 'TIME LEFT', 'NEXT'];
  const [titles = '', ...lines] = table([header, ...rows]).split('\n');
  const coloured = lines.map((line, index) => paint(exchanges[index]?.ready === true ? 'green' : 'red', line));
  const below = [
    ...exchanges.flatMap((one) => planLine(one, now)),
    ...exchanges.flatMap(hourLine),
    ...exchanges.flatMap(troubles),
    ...apiTrouble(api),
  ];
  return [paint('dim', titles), ...coloured, ...below].join('\n');
}

function planLine(exchange: ExchangeReply, now: number): readonly string[] {
  const plan = planOf(exchange, now);
  return plan === undefined ? [] : [`${exchange.exchange}: ${plan}`];
}

/** The failures of the last hour, if there are any: also those that are over. */
function hourLine({ exchange, failures_last_hour: failures = [] }: ExchangeReply): readonly string[] {
  const counts = failures.map(({ title, count }) => `${count}x ${title}`);
  return counts.length === 0 ? [] : [`${exchange}: in the last hour, ${counts.join('; ')}`];
}

const troubles = ({ exchange, failure, sinks }: ExchangeReply): readonly string[] => [
  ...(failure ? [`${exchange}: ${titleOf(failure)}, ${failure.attempts}x`, `  ${failure.hint}`] : []),
  ...sinks.flatMap((sink) =>
    sink.failure ? [`${exchange}, ${sink.id}: ${sink.failure.title}`, `  ${sink.failure.hint}`] : [],
  ),
];

const apiTrouble = ({ failure }: StatusReply['api']): readonly string[] =>
  failure ? [`token API: ${titleOf(failure)}`, `  ${failure.hint}`] : [];

const titleOf = ({ title, evidence }: { title: string; evidence: string | null }): string =>
  `${title}${evidence ? ` (${evidence})` : ''}`;
