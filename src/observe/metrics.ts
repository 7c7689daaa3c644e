// The Prometheus metrics, by the names that users build alerts on. Counters are told as things happen; gauges are taken
// from the exchanges' status at the scrape, so that they can't go stale. Labels are closed sets, and every set starts at 0:
// what is 0 for most of a process's life is told at the scrape and not kept, since many exchanges would keep it many times.

import prometheus from 'prom-client';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../core/errors.ts';
import type { ExchangeStatus } from '../core/status.ts';
import type { Operation } from '../core/vault-protocol.ts';
import { defineKept, defineShown } from './metric-families.ts';

const OPERATIONS: readonly Operation[] = ['login', 'renew', 'revoke'];
/** by operation: how a call can end */
const CODES = { login: codesOf('login'), renew: codesOf('renew'), revoke: codesOf('revoke') };

export interface MetricsOptions {
  readonly version: string;
  readonly nodeVersion: string;
  readonly nodeMetrics: boolean;
}

export type Metrics = ReturnType<typeof openMetrics>;

/**
 * When the clock is set from 1970 to today, prom-client turns its window on bit by bit in one go: with bits of 12 s, as it
 * would take them, nothing else happens for two seconds.
 */
const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 3600, eventLoopUtilizationTimeout: 1000 };

/** Of so many exchanges the text is made in one go; between two goes the event loop turns. */
const SHOWN_AT_ONCE = 10;
/** HELP and TYPE, before the series of a family */
const HEAD_LINES = 2;

export function openMetrics({ version, nodeVersion, nodeMetrics }: MetricsOptions) {
  const registry = new prometheus.Registry();
  const families = defineKept(registry);
  const atScrape = new prometheus.Registry();
  const { gauges, sinkWrittenAt, vaultRequests } = defineShown(atScrape);
  families.buildInfo.labels({ version, node_version: nodeVersion }).set(1);
  families.callerTokenReadable.set(1);
  for (const operation of OPERATIONS) families.durations.zero({ operation });
  if (nodeMetrics) prometheus.collectDefaultMetrics({ register: registry, ...EVENT_LOOP_UTILIZATION });
  const lastSuccess = new Map<string, number>();
  const calls = new Map<string, number>();

  function show(status: ExchangeStatus): void {
    const { exchange, token } = status;
    gauges.lastSuccess.set({ exchange }, seconds(lastSuccess.get(exchange)));
    gauges.jwtExpiration.set({ exchange }, seconds(status.jwt?.expiresAt));
    gauges.tokenExpiration.set({ exchange }, seconds(token?.expiresAt));
    gauges.tokenRenewal.set({ exchange }, seconds(status.nextAction?.at));
    gauges.tokenTtl.set({ exchange }, seconds(token?.ttlMs));
    gauges.authenticated.set({ exchange }, status.authenticated ? 1 : 0);
    gauges.ready.set({ exchange }, status.ready ? 1 : 0);
    gauges.failures.set({ exchange }, status.failure?.attempts ?? 0);
    for (const sink of status.sinks) sinkWrittenAt.set({ exchange, sink: sink.id }, seconds(sink.writtenAt));
    for (const operation of OPERATIONS) {
      for (const code of CODES[operation])
        vaultRequests.inc({ exchange, operation, code }, calls.get(callKey(exchange, operation, code)) ?? 0);
    }
  }

  return {
    ...families,

    /** Starts the counters of an exchange at 0. */
    addExchange(exchange: string, sinks: readonly string[]): void {
      families.jwtChanges.inc({ exchange }, 0);
      for (const sink of sinks) {
        for (const result of ['ok', 'error']) families.sinkWrites.inc({ exchange, sink, result }, 0);
      }
    },

    called(exchange: string, operation: Operation, code: 'ok' | ErrorCode): void {
      const key = callKey(exchange, operation, code);
      calls.set(key, (calls.get(key) ?? 0) + 1);
    },

    /** @param wall epoch milliseconds of the wall clock */
    succeeded(exchange: string, wall: number): void {
      lastSuccess.set(exchange, wall);
    },

    /** The text that Prometheus scrapes, with the gauges as the exchanges stand now: what a reload took away is gone. */
    async render(statuses: readonly ExchangeStatus[]): Promise<{ contentType: string; body: string }> {
      const { contentType } = registry;
      const names = atScrape.getMetricsAsArray().map(({ name }) => name);
      const texts = names.map((): string[] => []);
      for (let from = 0; from < statuses.length; from += SHOWN_AT_ONCE) {
        for (const status of statuses.slice(from, from + SHOWN_AT_ONCE)) show(status);
        const rendered = names.map((name) => atScrape.getSingleMetricAsString(name));
        // the values are taken by now, and the next scrape may come while this one waits
        atScrape.resetMetrics();
        for (const [index, text] of (await Promise.all(rendered)).entries())
          texts[index]?.push(from === 0 ? text : text.split('\n').slice(HEAD_LINES).join('\n'));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return { contentType, body: `${texts.flat().filter(Boolean).join('\n')}\n${await registry.metrics()}` };
    },
  };
}

/** What ails Vault, or us, ails every call; a refused login has its own words, and so have the refusals of a token. */
function codesOf(operation: Operation): readonly ('ok' | ErrorCode)[] {
  const failures = Object.entries(ERRORS) as [ErrorCode, ErrorEntry][];
  const possible = failures.filter(([code, { area, retry }]) => {
    if (area !== 'refusal') return area === 'vault' || code === 'internal';
    return code !== 'setup_refused' && (retry === 'log-in') === (operation !== 'login');
  });
  return ['ok', ...possible.map(([code]) => code)];
}

const callKey = (exchange: string, operation: Operation, code: string): string => `${exchange} ${operation} ${code}`;

const seconds = (ms: number | undefined): number => (ms ?? 0) / 1000;
