// The picture in docs/observability.md: the series of a measured run, with its faults and alerts.

import { PANELS, plain } from './monitoring-dashboard.ts';
import { drawPlots, type Point, type Row, type Span } from './monitoring-plot.ts';
import type { Line } from './monitoring-prometheus.ts';
import type { Run } from './monitoring-run.ts';

const HERE = { job: '.*', namespace: '.*', pod: 'web-0', exchange: 'app' };

export async function drawRun(run: Run): Promise<string> {
  const { prometheus, from, faults } = run;
  const since = ({ from: begin, to: end }: Span): Span => ({ from: begin - from, to: end - from });
  const pointsOf = ({ values }: Line): readonly Point[] =>
    values.map(([at, value]) => ({ at: at - from, value: Number(value) }));
  const query = async (expression: string) => (await prometheus.range(expression, run)).map(pointsOf);
  const panel = async (title: string): Promise<readonly Point[]> => {
    const [target] = PANELS.find((one) => one.title === title)?.targets ?? [];
    const [points] = await query(plain(target?.expr ?? title, HERE));
    return points ?? [];
  };
  const ready = await panel('Ready');
  const states = [
    ['ready', 'good'],
    ['a sink lacks the token', 'partial'],
    ['no token', 'bad'],
  ].map(([label = '', look = ''], index): Row => ({ label, look, bars: spansOf(ready, 2 - index) }));
  const calls = await prometheus.range('sum by (code) (vault_token_sidecar_vault_requests_total{pod="web-0"})', run);
  const seen = calls
    .map((line) => ({ label: line.metric['code'] ?? '', points: increases(pointsOf(line)) }))
    .filter(({ points }) => points.length > 0);
  const isOk = ({ label }: { readonly label: string }) => label === 'ok';
  const counts = [
    ...seen.filter(isOk).map((one) => ({ ...one, look: 'good' })),
    ...seen.filter((one) => !isOk(one)).map((one, index) => ({ ...one, look: FAILURES[index] ?? 'partial' })),
  ];
  const alerts = await Promise.all(
    faults
      .flatMap((fault) => fault.alerts)
      .map(async (label): Promise<Row> => {
        const [points = []] = await query(`ALERTS{alertname="${label}",alertstate="firing",pod="web-0"}`);
        return { label, look: 'alert', bars: spansOf(points, 1) };
      }),
  );
  const broken = faults.map(since);
  return drawPlots('The series of a sidecar whose parts fail and recover', run.to - from, broken, [
    { title: 'Faults', rows: faults.map((fault) => ({ label: fault.name, look: 'fault', bars: [since(fault)] })) },
    { title: 'Time left of the token, s', points: await panel('Time left') },
    { title: 'Time left of the JWT, s', points: await panel('Time left of the JWT') },
    { title: 'Calls to Vault by code', counts },
    { title: 'Failures in a row', points: await panel('Failures in a row'), isStepped: true },
    { title: 'Ready', rows: states },
    { title: 'Alerts', rows: alerts },
  ]);
}

/** The colours of failed calls. */
const FAILURES = ['bad', 'other'];

/** The times in which the series has that value; a point stands for the second before it. */
function spansOf(points: readonly Point[], value: number): readonly Span[] {
  const spans: Span[] = [];
  for (const { at } of points.filter((point) => point.value === value)) {
    const last = spans.at(-1);
    if (last !== undefined && at - last.to < 1.5) spans[spans.length - 1] = { from: last.from, to: at };
    else spans.push({ from: Math.max(0, at - 1), to: at });
  }
  return spans;
}

/** The points at which a counter has grown, with the growth. A restart resets a counter. */
const increases = (points: readonly Point[]): readonly Point[] =>
  points
    .map(({ at, value }, index) => {
      const before = points[index - 1]?.value ?? value;
      return { at, value: value < before ? value : value - before };
    })
    .filter(({ value }) => value > 0);
