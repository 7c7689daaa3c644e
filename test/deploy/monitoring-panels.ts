// What each panel of the dashboard shows over the run of monitoring-run.ts.

export interface Expected {
  /** Grafana's name of the unit; none if the panel shows states */
  readonly unit?: string;
  /** These series have values, among others. */
  readonly legends: readonly string[];
  /** All values are in this range... */
  readonly within: Range;
  /** ... and they reach from at least here to at least here. */
  readonly across: Range;
}

type Range = readonly [number, number];

type Labels = Readonly<Record<string, string>>;

/** The labels, with the values that differ from run to run replaced. */
export function plainLabels(labels: Labels): Labels {
  const { instance = '', version = '', node_version = '', sink = '' } = labels;
  return {
    ...labels,
    instance: instance && 'here',
    version: version && 'VERSION',
    node_version: node_version && 'NODE',
    sink: sink.replace(/^.*test-\w+\//, ''),
  };
}

const BOTH = ['web-0 here app', 'web-1 here app'];
const BROKEN_SINKS = ['token ok', 'shared/token ok', 'shared/token error'];
const LONGEST_RUN = 400;
/** the last bucket of the histograms */
const SLOWEST = 30;

const seconds = (legends: readonly string[], within: Range, across: Range): Expected => ({
  unit: 's',
  legends,
  within,
  across,
});
const count = (legends: readonly string[], most: number, across: Range): Expected => ({
  unit: 'short',
  legends,
  within: [0, most],
  across,
});
const rate = (legends: readonly string[], within: Range, across: Range): Expected => ({
  unit: 'reqps',
  legends,
  within,
  across,
});

/** By title. Without a legend, Grafana shows the name of the query. */
export const EXPECTED: Readonly<Record<string, Expected>> = {
  'Not ready': count([''], 1, [0, 1]),
  Failing: count([''], 1, [0, 1]),
  // of web-0 while it runs, else of web-1
  'Next token to expire': seconds([''], [-LONGEST_RUN, 3600], [0, 3000]),
  'Next JWT to expire': seconds([''], [-LONGEST_RUN, 3600], [0, 3000]),
  'Clocks apart': seconds([''], [0, 60], [2, 44]),
  Versions: count(['VERSION on Node NODE'], 2, [1, 2]),

  Ready: { legends: BOTH, within: [0, 2], across: [0, 2] },
  'Share of the lease left': { unit: 'percentunit', legends: BOTH, within: [0, 1], across: [0, 0.95] },
  'Time left': seconds(BOTH, [-LONGEST_RUN, 3600], [0, 3500]),
  // a renewal is at 40 to 47.5 % of the lease
  'Next call to Vault': seconds(BOTH, [-60, 1710], [2, 1400]),

  Successes: count(['login', 'renew'], 6, [0, 1]),
  'Failures by code': count(['renew vault_sealed', 'login vault_sealed'], 6, [1.5, 1]),
  Duration: seconds(['login p50', 'login p99', 'renew p50', 'renew p99'], [0.001, SLOWEST], [0.05, 0.005]),
  'Failures in a row': count(BOTH, 20, [0, 2]),
  'Since the last success': seconds(BOTH, [-1, LONGEST_RUN], [2, 60]),

  'Time left of the JWT': seconds(BOTH, [-LONGEST_RUN, 3600], [0, 3500]),
  'New JWTs': count(BOTH, 3, [0, 1]),
  'Writes to sinks': count([...BROKEN_SINKS, 'other-token ok'], 6, [0, 1]),
  'Since the last write': seconds(
    ['web-0 here app token', 'web-0 here app shared/token', 'web-1 here app other-token'],
    [-1, LONGEST_RUN],
    [2, 60],
  ),
  Hooks: count(['token ok', 'token error', 'token skipped'], 3, [0, 1]),

  // the client asks four times a second
  'Requests by method and code': rate(['read 200', 'read 403', 'read 503', 'write 200', 'write 503'], [0, 100], [0, 3]),
  'Duration of requests': seconds(['app p50', 'app p99'], [0.001, SLOWEST], [0.05, 0.005]),

  'Requests to its own routes': rate(['/metrics 200', '/v1/token 200', '/v1/token 401'], [0, 1000], [0, 3]),
  "Clock here minus Vault's": seconds(['web-0 here', 'web-1 here'], [-60, 60], [2, 44]),
  'Signs of trouble': count(
    ['config refused', 'caller token unreadable', 'log lines lost', 'reads without a watch'],
    60,
    [0, 1],
  ),
  'Since the config was loaded': seconds(['web-0 here', 'web-1 here'], [-1, LONGEST_RUN], [5, 60]),
};
