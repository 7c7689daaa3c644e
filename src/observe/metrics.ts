// The Prometheus metrics. Counters are updated when an event happens; gauges are computed from the status of the exchanges at each
// scrape, so that they are never stale. Labels are closed sets, and every label set starts at 0, except those of requests to the
// listeners and proxies. Series that are mostly 0 exist only during a scrape, to save memory with many exchanges.

import prometheus from 'prom-client';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../core/errors.ts';
import { hookOf } from '../core/settings.ts';
import type { Policy } from '../core/state.ts';
import type { ExchangeStatus } from '../core/status.ts';
import type { Operation } from '../core/vault-protocol.ts';
import { defineEventMetrics, defineScrapeMetrics } from './metric-families.ts';

const OPERATIONS: readonly Operation[] = ['login', 'renew', 'lookup', 'revoke'];
/** The refusals of a single operation. */
const DENIALS: Partial<Record<ErrorCode, Operation>> = {
  renewal_denied: 'renew',
  token_rejected: 'lookup',
  revocation_denied: 'revoke',
};
/** The possible outcomes of a call, by operation. */
const CODES = {
  login: codesOf('login'),
  renew: codesOf('renew'),
  lookup: codesOf('lookup'),
  revoke: codesOf('revoke'),
};

export interface MetricsOptions {
  readonly version: string;
  readonly nodeVersion: string;
  readonly nodeMetrics: boolean;
}

export type Metrics = ReturnType<typeof openMetrics>;

/**
 * Longer steps of prom-client's sliding window. When the clock is set from 1970 to today, prom-client advances the window step by
 * step: with its default steps of 12 s, that blocks the event loop for two seconds.
 */
const EVENT_LOOP_UTILIZATION = { eventLoopUtilizationMaxAgeSeconds: 3600, eventLoopUtilizationTimeout: 1000 };

/** The possible ends of a hook. */
const HOOK_RESULTS = ['ok', 'error', 'skipped'];

/** The number of exchanges per batch of a scrape; between batches, the event loop runs. */
const BATCH_SIZE = 10;
/** The HELP and TYPE lines of a metric family. */
const HEAD_LINES = 2;

export function openMetrics({ version, nodeVersion, nodeMetrics }: MetricsOptions) {
  const registry = new prometheus.Registry();
  const families = defineEventMetrics(registry);
  const atScrape = new prometheus.Registry();
  const { gauges, sinkWrittenAt, vaultRequests } = defineScrapeMetrics(atScrape);
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
    addExchange({ settings, sinks }: Policy): void {
      const { name: exchange } = settings;
      families.jwtChanges.inc({ exchange }, 0);
      for (const sink of sinks) {
        for (const result of ['ok', 'error']) families.sinkWrites.inc({ exchange, sink, result }, 0);
        if (hookOf(settings, sink) === undefined) continue;
        for (const result of HOOK_RESULTS) families.hooks.inc({ exchange, sink, result }, 0);
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

    /** Renders the text for a scrape, with gauges for the current exchanges only, so that removed exchanges disappear. */
    async render(statuses: readonly ExchangeStatus[]): Promise<{ contentType: string; body: string }> {
      const { contentType } = registry;
      const names = atScrape.getMetricsAsArray().map(({ name }) => name);
      const texts = names.map((): string[] => []);
      for (let from = 0; from < statuses.length; from += BATCH_SIZE) {
        for (const status of statuses.slice(from, from + BATCH_SIZE)) show(status);
        const rendered = names.map((name) => atScrape.getSingleMetricAsString(name));
        // The values are rendered; reset them before the next scrape may run.
        atScrape.resetMetrics();
        for (const [index, text] of (await Promise.all(rendered)).entries())
          texts[index]?.push(from === 0 ? text : text.split('\n').slice(HEAD_LINES).join('\n'));
        await new Promise((resolve) => setImmediate(resolve));
      }
      return { contentType, body: `${texts.flat().filter(Boolean).join('\n')}\n${await registry.metrics()}` };
    },
  };
}

/** Returns the outcomes of an operation: failures of Vault or the sidecar, plus the refusals specific to logins or to tokens. */
function codesOf(operation: Operation): readonly ('ok' | ErrorCode)[] {
  const failures = Object.entries(ERRORS) as [ErrorCode, ErrorEntry][];
  const possible = failures.filter(([code, { area, retry }]) => {
    if (area !== 'refusal') return area === 'vault' || code === 'internal';
    const owner = DENIALS[code];
    if (operation === 'lookup' || owner !== undefined) return owner === operation;
    return (retry === 'log-in') === (operation !== 'login');
  });
  return ['ok', ...possible.map(([code]) => code)];
}

const callKey = (exchange: string, operation: Operation, code: string): string => `${exchange} ${operation} ${code}`;

const seconds = (ms: number | undefined): number => (ms ?? 0) / 1000;
