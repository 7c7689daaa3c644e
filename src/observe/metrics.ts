// The Prometheus metrics, by the names that users build alerts on. Counters are told as things happen; gauges are taken
// from the exchanges' status at the scrape, so that they can't go stale. Labels are closed sets, and every set starts at 0.

import prometheus from 'prom-client';
import { ERRORS } from '../core/errors.ts';
import type { ExchangeStatus } from '../core/status.ts';
import type { Operation } from '../core/vault-protocol.ts';

const PREFIX = 'vault_token_sidecar_';
const CODES = ['ok', ...Object.entries(ERRORS).flatMap(([code, { exit }]) => (exit === 4 || exit === 5 ? [code] : []))];
const OPERATIONS: readonly Operation[] = ['login', 'renew', 'revoke'];

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

export function openMetrics({ version, nodeVersion, nodeMetrics }: MetricsOptions) {
  const registry = new prometheus.Registry();
  const { gauges, sinkWrittenAt, ...families } = defineFamilies(registry);
  families.buildInfo.labels({ version, node_version: nodeVersion }).set(1);
  for (const operation of OPERATIONS) families.durations.zero({ operation });
  if (nodeMetrics) prometheus.collectDefaultMetrics({ register: registry, ...EVENT_LOOP_UTILIZATION });
  const lastSuccess = new Map<string, number>();

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
  }

  return {
    ...families,

    /** Starts every counter of an exchange at 0. */
    addExchange(exchange: string, sinks: readonly string[]): void {
      families.jwtChanges.inc({ exchange }, 0);
      for (const operation of OPERATIONS) {
        for (const code of CODES) families.vaultRequests.inc({ exchange, operation, code }, 0);
      }
      for (const sink of sinks) {
        for (const result of ['ok', 'error']) families.sinkWrites.inc({ exchange, sink, result }, 0);
      }
    },

    /** @param wall epoch milliseconds of the wall clock */
    succeeded(exchange: string, wall: number): void {
      lastSuccess.set(exchange, wall);
    },

    /** The text that Prometheus scrapes, with the gauges as the exchanges stand now: what a reload took away is gone. */
    async render(statuses: readonly ExchangeStatus[]): Promise<{ contentType: string; body: string }> {
      for (const gauge of [...Object.values(gauges), sinkWrittenAt]) gauge.reset();
      for (const status of statuses) show(status);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function defineFamilies(registry: prometheus.Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new prometheus.Gauge({ name: PREFIX + name, help, labelNames, registers });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new prometheus.Counter({ name: PREFIX + name, help, labelNames, registers });
  const each = ['exchange'];
  return {
    buildInfo: gauge('build_info', 'A constant 1, labelled by the versions of the sidecar and of Node.', [
      'version',
      'node_version',
    ]),
    gauges: {
      jwtExpiration: gauge('jwt_expiration_timestamp_seconds', 'When the workload JWT expires; 0 if unknown.', each),
      tokenExpiration: gauge(
        'token_expiration_timestamp_seconds',
        'When the Vault token expires; 0 if there is none.',
        each,
      ),
      tokenRenewal: gauge(
        'token_renewal_timestamp_seconds',
        'When the next call to Vault is planned; 0 if none is.',
        each,
      ),
      tokenTtl: gauge('token_ttl_seconds', 'The lease that Vault granted last.', each),
      authenticated: gauge('authenticated', 'Whether an unexpired Vault token is held.', each),
      ready: gauge('ready', 'Whether an unexpired Vault token is held and is in every sink.', each),
      failures: gauge('consecutive_failures', 'Failures since the last success.', each),
      lastSuccess: gauge(
        'last_success_timestamp_seconds',
        'When Vault last granted a login or renewal; 0 if never.',
        each,
      ),
    },
    sinkWrittenAt: gauge('sink_last_write_timestamp_seconds', 'When the sink was last written; 0 if never.', [
      'exchange',
      'sink',
    ]),
    durations: new prometheus.Histogram({
      name: `${PREFIX}vault_request_duration_seconds`,
      help: 'How long calls to Vault take.',
      labelNames: ['operation'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
    jwtChanges: counter('jwt_changes_total', 'New workload JWTs seen.', each),
    vaultRequests: counter('vault_requests_total', 'Calls to Vault, by their outcome.', [
      'exchange',
      'operation',
      'code',
    ]),
    sinkWrites: counter('sink_writes_total', 'Writes of the Vault token to a sink.', ['exchange', 'sink', 'result']),
    fallbackPolls: counter('watch_fallback_polls_total', 'Readings of the JWT while nothing could watch it.'),
    clockSkew: gauge('vault_clock_skew_seconds', "The local clock minus Vault's, to the second."),
    configReloaded: gauge('config_last_reload_successful', 'Whether the config in force is the one last read.'),
    configReloadedAt: gauge('config_last_reload_success_timestamp_seconds', 'When the config in force was read.'),
    apiRequests: counter('api_requests_total', "Requests to the sidecar's own HTTP routes.", ['route', 'code']),
    logLinesDropped: counter('log_lines_dropped_total', 'Log lines lost because nobody read them.'),
  };
}

const seconds = (ms: number | undefined): number => (ms ?? 0) / 1000;
