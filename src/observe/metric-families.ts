// The names, labels and help texts of the metrics.

import prometheus from 'prom-client';

const PREFIX = 'vault_token_sidecar_';
const EACH = ['exchange'];

/** Defines the metrics that are updated when an event happens. */
export function defineEventMetrics(registry: prometheus.Registry) {
  const { gauge, counter, histogram } = definers(registry);
  return {
    buildInfo: gauge('build_info', 'A constant 1, labelled by the versions of the sidecar and of Node.', [
      'version',
      'node_version',
    ]),
    durations: histogram('vault_request_duration_seconds', 'Duration of calls to Vault.', ['operation']),
    jwtChanges: counter('jwt_changes_total', 'New workload JWTs seen.', EACH),
    sinkWrites: counter('sink_writes_total', 'Writes of the Vault token to a sink.', ['exchange', 'sink', 'result']),
    hooks: counter('hooks_total', "Runs of a sink's on_change.", ['exchange', 'sink', 'result']),
    fallbackPolls: counter('watch_fallback_polls_total', "Reads of the JWT while its directory couldn't be watched."),
    clockSkew: gauge('vault_clock_skew_seconds', "The local clock minus Vault's clock, in whole seconds."),
    configReloaded: gauge('config_last_reload_successful', 'Whether the last reload of the config succeeded.'),
    configReloadedAt: gauge('config_last_reload_success_timestamp_seconds', 'When the current config was loaded.'),
    apiRequests: counter('api_requests_total', "Requests to the sidecar's own HTTP routes.", ['route', 'code']),
    proxyRequests: counter('proxy_requests_total', 'Requests to the API proxy of an exchange.', [
      'exchange',
      'method',
      'code',
    ]),
    proxyDurations: histogram('proxy_request_duration_seconds', 'Duration of requests to the API proxy.', ['exchange']),
    callerTokenReadable: gauge(
      'caller_token_readable',
      'Whether api.caller_token_file can be read; 1 if none is configured.',
    ),
    logLinesDropped: counter(
      'log_lines_dropped_total',
      'Log lines dropped because the reader stalled or the write failed.',
    ),
  };
}

/** Defines the metrics that are computed at each scrape and then reset. */
export function defineScrapeMetrics(registry: prometheus.Registry) {
  const { gauge, counter } = definers(registry);
  return {
    gauges: {
      jwtExpiration: gauge('jwt_expiration_timestamp_seconds', 'When the workload JWT expires; 0 if unknown.', EACH),
      tokenExpiration: gauge(
        'token_expiration_timestamp_seconds',
        'When the Vault token expires; 0 if there is none.',
        EACH,
      ),
      tokenRenewal: gauge(
        'token_renewal_timestamp_seconds',
        'When the next call to Vault is planned; 0 if none is planned.',
        EACH,
      ),
      tokenTtl: gauge('token_ttl_seconds', 'The TTL of the Vault token as last granted; 0 if there is none.', EACH),
      authenticated: gauge('authenticated', 'Whether the exchange holds an unexpired Vault token.', EACH),
      ready: gauge('ready', 'Whether the exchange holds an unexpired Vault token that is in every sink.', EACH),
      failures: gauge('consecutive_failures', 'Failures since the last success.', EACH),
      lastSuccess: gauge(
        'last_success_timestamp_seconds',
        'When Vault last granted a login or renewal; 0 if never.',
        EACH,
      ),
    },
    sinkWrittenAt: gauge('sink_last_write_timestamp_seconds', 'When the sink was last written; 0 if never.', [
      'exchange',
      'sink',
    ]),
    vaultRequests: counter('vault_requests_total', 'Calls to Vault, by outcome.', ['exchange', 'operation', 'code']),
  };
}

function definers(registry: prometheus.Registry) {
  const common = (name: string, help: string, labelNames: string[]) => ({
    name: PREFIX + name,
    help,
    labelNames,
    registers: [registry],
  });
  return {
    gauge: (name: string, help: string, labels: string[] = []) => new prometheus.Gauge(common(name, help, labels)),
    counter: (name: string, help: string, labels: string[] = []) => new prometheus.Counter(common(name, help, labels)),
    histogram: (name: string, help: string, labels: string[]) =>
      new prometheus.Histogram({
        ...common(name, help, labels),
        buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      }),
  };
}
