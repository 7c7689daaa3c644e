// Draws stacked plots over one time axis: rows of bars, lines, and stacked counts. Bands behind them show when something was broken.

import { drawPicture, round } from '../support/svg.ts';

/** Times are seconds since the start. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Point {
  readonly at: number;
  readonly value: number;
}

interface Titled {
  readonly title: string;
}

/** `look` is the class of the bars. */
export interface Row {
  readonly label: string;
  readonly look: string;
  readonly bars: readonly Span[];
}

export interface Rows extends Titled {
  readonly rows: readonly Row[];
}

export interface Line extends Titled {
  readonly points: readonly Point[];
  /** a value holds until the next one, instead of a slope */
  readonly isStepped?: boolean;
}

export interface Counts extends Titled {
  /** stacked from the first to the last one */
  readonly counts: readonly { readonly label: string; readonly look: string; readonly points: readonly Point[] }[];
}

export type Plot = Rows | Line | Counts;

const WIDTH = 860;
const LEFT = 232;
const RIGHT = 24;
const HEAD = 26;
const ROW = 17;
const BODY = 76;
/** a gap between two points that is longer ends a line: the series wasn't there */
const GAP_SECONDS = 1.5;

const STYLE = `
    .ground { fill: #ffffff } .band { fill: #eff2f5; stroke: #d9dde3 } .axis { stroke: #59636e } .grid { stroke: #d9dde3 }
    text { fill: #24292f; font: 12px system-ui, sans-serif } .title { font-size: 13px; font-weight: 600 }
    .line { fill: none; stroke: #0f6fbf; stroke-width: 1.6 } .fault { fill: #59636e } .alert { fill: #cf222e }
    .good { fill: #1a7f37 } .partial { fill: #d4730b } .bad { fill: #cf222e } .other { fill: #8250df }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } .band { fill: #1a212a; stroke: #2a313a } .axis { stroke: #8b949e } .grid { stroke: #2a313a }
      text { fill: #e6edf3 } .line { stroke: #58a6ff } .fault { fill: #8b949e } .alert { fill: #f85149 }
      .good { fill: #3fb950 } .partial { fill: #db8a2c } .bad { fill: #f85149 } .other { fill: #ab7df8 }
    }`;

type Scale = (value: number) => number;

export function drawPlots(title: string, seconds: number, bands: readonly Span[], plots: readonly Plot[]): string {
  const x: Scale = (at) => LEFT + ((WIDTH - LEFT - RIGHT) * at) / seconds;
  const parts: string[] = [];
  let top = 4;
  for (const plot of plots) {
    parts.push(text(plot.title, { x: 14, y: top + 18, look: 'title' }), ...draw(plot, x, top + HEAD));
    top += HEAD + heightOf(plot);
  }
  const behind = bands.map((band) => bar(x, band, { y: HEAD, height: top - HEAD, look: 'band' }));
  const axis = drawTimes(x, seconds, top);
  return drawPicture({ title, width: WIDTH, height: top + 34, style: STYLE }, [...behind, ...parts, ...axis]);
}

const heightOf = (plot: Plot): number => ('rows' in plot ? plot.rows.length * ROW : BODY) + 6;

function draw(plot: Plot, x: Scale, top: number): string[] {
  if ('rows' in plot) return plot.rows.flatMap((row, index) => drawRow(row, x, top + index * ROW));
  return 'points' in plot ? drawLine(plot, x, top) : drawCounts(plot, x, top);
}

function drawRow({ label, look, bars }: Row, x: Scale, top: number): string[] {
  const middle = round(top + ROW / 2);
  return [
    text(label, { x: LEFT - 10, y: top + 13, anchor: 'end' }),
    `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${middle}" y2="${middle}"/>`,
    ...bars.map((one) => bar(x, one, { y: top + 3, height: ROW - 6, look })),
  ];
}

function drawLine({ points, isStepped = false }: Line, x: Scale, top: number): string[] {
  const { y, grid } = drawValues(
    points.map(({ value }) => value),
    top,
  );
  const steps = points.map(({ at, value }, index) => {
    const isFirst = index === 0 || at - (points[index - 1]?.at ?? 0) > GAP_SECONDS;
    const [left, middle] = [round(x(at)), round(y(value))];
    if (isFirst) return `M${left} ${middle}`;
    return isStepped ? `H${left}V${middle}` : `L${left} ${middle}`;
  });
  return [...grid, `<path class="line" d="${steps.join('')}"/>`];
}

function drawCounts({ counts }: Counts, x: Scale, top: number): string[] {
  const sums = new Map<number, number>();
  const stacked = counts.flatMap(({ look, points }) =>
    points.map(({ at, value }) => {
      const from = sums.get(at) ?? 0;
      sums.set(at, from + value);
      return { at, from, to: from + value, look };
    }),
  );
  const { y, grid } = drawValues([...sums.values()], top);
  const bars = stacked.map(({ at, from, to, look }) =>
    bar(x, { from: at - 0.9, to: at }, { y: y(to), height: y(from) - y(to), look }),
  );
  const legend = counts.flatMap(({ label, look }, index) => [
    `<rect class="${look}" x="24" y="${top + 6 + index * ROW}" width="10" height="10"/>`,
    text(label, { x: 40, y: top + 15 + index * ROW }),
  ]);
  return [...grid, ...bars, ...legend];
}

/** Draws an axis with two to five round numbers around the values and zero. */
function drawValues(values: readonly number[], top: number): { readonly y: Scale; readonly grid: string[] } {
  const [least, most] = [Math.min(0, ...values), Math.max(1, ...values)];
  const step = STEPS.find((one) => (most - least) / one <= 4) ?? 100;
  const low = Math.floor(least / step) * step;
  const high = Math.ceil(most / step) * step;
  const y: Scale = (value) => top + BODY - (BODY * (value - low)) / (high - low);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => low + index * step);
  const grid = ticks.flatMap((tick) => [
    `<line class="${tick === 0 ? 'axis' : 'grid'}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>`,
    text(`${tick}`, { x: LEFT - 10, y: y(tick) + 4, anchor: 'end' }),
  ]);
  return { y, grid };
}
const STEPS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

function drawTimes(x: Scale, seconds: number, top: number): string[] {
  const step = seconds > 120 ? 20 : 10;
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
  return [
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${top}" y2="${top}"/>`,
    ...ticks.flatMap((at) => [
      `<line class="axis" x1="${round(x(at))}" x2="${round(x(at))}" y1="${top}" y2="${top + 4}"/>`,
      text(`${at} s`, { x: x(at), y: top + 19, anchor: 'middle' }),
    ]),
  ];
}

interface Box {
  readonly y: number;
  readonly height: number;
  readonly look: string;
}

function bar(x: Scale, { from, to }: Span, { y, height, look }: Box): string {
  const [left, right] = [x(from), x(to)];
  return `<rect class="${look}" x="${round(left)}" y="${round(y)}" width="${round(right - left)}" height="${round(height)}"/>`;
}

interface Where {
  readonly x: number;
  readonly y: number;
  readonly anchor?: 'middle' | 'end';
  readonly look?: string;
}

function text(words: string, { x, y, anchor, look }: Where): string {
  const attributes = [look && ` class="${look}"`, anchor && ` text-anchor="${anchor}"`].filter(Boolean).join('');
  return `<text${attributes} x="${round(x)}" y="${round(y)}">${words}</text>`;
}
