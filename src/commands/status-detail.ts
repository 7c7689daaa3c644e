// One exchange in detail, from a reply whose texts are printable: Vault, the JWT, the token with a bar of its time left, the plan, each sink, and the last failure.

import type { ExchangeReply } from '../http/status-reply.ts';
import type { View } from './status-table.ts';
import { duration, planOf, timeSince, timeUntil, utc } from './status-time.ts';

const LABEL = 10;
const BAR = 20;

type Token = NonNullable<ExchangeReply['token']>;
type Sink = ExchangeReply['sinks'][number];

/** @param version of the sidecar that answers */
export function describeExchange(exchange: ExchangeReply, version: string, view: View): string {
  const { phase, ready, reasons, token, sinks } = exchange;
  const { paint } = view;
  const plan = planOf(exchange, view.now);
  const state = ready ? paint('green', `${phase}, ready`) : paint('red', `${phase}, not ready`);
  return [
    `${exchange.exchange}: ${state}`,
    ...reasons.map((reason) => paint('red', `  ${reason}`)),
    ...part('Vault', vaultLines(exchange, view)),
    ...part('JWT', jwtLines(exchange, view)),
    ...part('token', token === null ? ['none'] : tokenLines(token, view)),
    ...part('plan', plan === undefined ? [] : [plan]),
    ...sinks.flatMap((sink) => part('sink', sinkLines(sink, view))),
    ...part('failure', failureLines(exchange, view)),
    ...part('last hour', hourLines(exchange, view)),
    ...part('sidecar', [version]),
  ].join('\n');
}

/** A label before the first of its lines. */
const part = (label: string, lines: readonly string[]): readonly string[] =>
  lines.map((line, index) => `  ${(index === 0 ? label : '').padEnd(LABEL)}${line}`);

/** The address, and how the last call ended: a refusal shows that Vault works. */
function vaultLines({ vault, last_call: call }: ExchangeReply, { now, paint }: View): readonly string[] {
  const address = vault === undefined ? [] : [vault];
  if (!call) return address;
  const { operation, title, at } = call;
  const end = title === null ? paint('green', 'succeeded') : `${paint('red', 'failed')}: ${title}`;
  return [...address, `the last call, ${operation} ${timeSince(at, now)} ago, ${end}`];
}

function hourLines({ failures_last_hour: failures }: ExchangeReply, { now }: View): readonly string[] {
  if (failures === undefined) return [];
  if (failures.length === 0) return ['no failures'];
  return failures.map(({ title, count, last_at: at }) => `${count}x ${title}, last ${timeSince(at, now)} ago`);
}

function jwtLines({ jwt }: ExchangeReply, { now }: View): readonly string[] {
  if (jwt === null) return ['none'];
  const { issuer, subject, audience, expires_at: expiresAt } = jwt;
  return [
    ...(issuer === null ? [] : [`issuer ${issuer}`]),
    ...(subject === null ? [] : [`subject ${subject}`]),
    ...(audience.length === 0 ? [] : [`audience ${audience.join(', ')}`]),
    ...(expiresAt === null ? [] : [`expires in ${timeUntil(expiresAt, now)}, at ${utc(expiresAt)}`]),
  ];
}

function tokenLines(token: Token, { now, paint }: View): readonly string[] {
  const { accessor, type, renewable, policies, expires_at: expiresAt, ttl_seconds: ttlSeconds } = token;
  const share = Math.min(1, Math.max(0, (Date.parse(expiresAt) - now) / (ttlSeconds * 1000)));
  const full = Math.round(share * BAR);
  const bar = `${paint(share > 0.25 ? 'green' : 'yellow', '#'.repeat(full))}${'.'.repeat(BAR - full)}`;
  return [
    `[${bar}] ${timeUntil(expiresAt, now)} of ${duration(ttlSeconds * 1000)} left, until ${utc(expiresAt)}`,
    `accessor ${accessor}, ${type}, ${renewable ? 'renewable' : 'not renewable'}`,
    `policies ${policies.join(', ') || 'none'}`,
  ];
}

function sinkLines(
  { id, mode, current, written_at: writtenAt, failure }: Sink,
  { now, paint }: View,
): readonly string[] {
  const age = writtenAt === null ? 'not written yet' : `written ${timeSince(writtenAt, now)} ago`;
  const state =
    failure === null
      ? paint(current ? 'green' : 'yellow', current ? 'current' : 'not current')
      : paint('red', 'failed');
  return [
    `${id}  ${state}, ${age}${mode === undefined ? '' : `, mode ${mode}`}`,
    ...(failure === null ? [] : [failure.title, failure.evidence, failure.hint].filter(isText)),
  ];
}

function failureLines({ failure }: ExchangeReply, { now, paint }: View): readonly string[] {
  if (failure === null) return [];
  const { title, evidence, hint, attempts, since, retry_at: retryAt } = failure;
  const next = retryAt === null ? '' : `, next try in ${timeUntil(retryAt, now)}`;
  return [paint('red', title), ...[evidence, hint].filter(isText), `${attempts} in ${timeSince(since, now)}${next}`];
}

const isText = (text: string | null | undefined): text is string => Boolean(text);
