// Plots the fleet's outage: requests a second over time, of sidecars and naive clients, on a logarithmic scale. Plain
// SVG that follows the reader's light or dark scheme. The output is deterministic, byte for byte.

import type { Load } from './fleet.ts';
import { HOUR, SECOND } from './plan.ts';

interface Plot {
  readonly title: string;
  readonly sidecars: Load;
  readonly naives: Load;
  readonly outage: readonly [fromMs: number, toMs: number];
  readonly capacity: number;
}

const SIZE = { width: 860, height: 400 };
const AREA = { left: 70, right: 24, top: 66, bottom: 56 };
const LOWEST = 0.5;
const HIGHEST = 3000;
/** Seconds for each point of the plot, which shows the busiest of them. */
const SPAN = 600;

const STYLE = `
    .ground { fill: #ffffff } .shade { fill: #f3e3d3 } .grid { stroke: #d9dde3 } .axis { stroke: #59636e }
    text { fill: #24292f; font: 13px system-ui, sans-serif } .title { font-size: 16px; font-weight: 600 }
    .small { font-size: 12px } .sidecars { stroke: #0f6fbf } .naive { stroke: #b3450b } .limit { stroke: #59636e }
    .tsidecars { fill: #0f6fbf } .tnaive { fill: #b3450b } polyline { fill: none; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } .shade { fill: #33261a } .grid { stroke: #2a313a } .axis { stroke: #8b949e }
      text { fill: #e6edf3 } .sidecars { stroke: #58a6ff } .naive { stroke: #f0883e } .limit { stroke: #8b949e }
      .tsidecars { fill: #58a6ff } .tnaive { fill: #f0883e }
    }`;

export function drawPlot({ title, sidecars, naives, outage, capacity }: Plot): string {
  const seconds = sidecars.arrivals.length - 1;
  const right = SIZE.width - AREA.right;
  const bottom = SIZE.height - AREA.bottom;
  const x = (ms: number) => AREA.left + ((right - AREA.left) * ms) / (seconds * SECOND);
  const y = (rate: number) => {
    const share = Math.log(Math.max(rate, LOWEST) / LOWEST) / Math.log(HIGHEST / LOWEST);
    return bottom - (bottom - AREA.top) * share;
  };
  const hours = Array.from({ length: Math.floor((seconds * SECOND) / HOUR / 4) + 1 }, (_, index) => index * 4);
  const [from, to] = outage;
  const parts = [
    `<rect class="ground" width="${SIZE.width}" height="${SIZE.height}"/>`,
    `<text class="title" x="${AREA.left}" y="26">${title}</text>`,
    `<text class="small" x="${AREA.left}" y="46">requests a second at Vault: the busiest second in every ten minutes (logarithmic)</text>`,
    `<rect class="shade" x="${at(x(from))}" y="${AREA.top}" width="${at(x(to) - x(from))}" height="${bottom - AREA.top}"/>`,
    `<text class="small" x="${at((x(from) + x(to)) / 2)}" y="${AREA.top + 16}" text-anchor="middle">Vault is sealed</text>`,
    ...[1, 10, 100, 1000].flatMap((rate) => [
      `<line class="grid" x1="${AREA.left}" x2="${right}" y1="${at(y(rate))}" y2="${at(y(rate))}"/>`,
      `<text class="small" x="${AREA.left - 8}" y="${at(y(rate) + 4)}" text-anchor="end">${rate}</text>`,
    ]),
    `<line class="limit" stroke-dasharray="5 4" x1="${AREA.left}" x2="${right}" y1="${at(y(capacity))}" y2="${at(y(capacity))}"/>`,
    `<text class="small" x="${at((x(from) + x(to)) / 2)}" y="${at(y(capacity) - 6)}" text-anchor="middle">what Vault can serve</text>`,
    `<line class="axis" x1="${AREA.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`,
    `<line class="axis" x1="${AREA.left}" x2="${AREA.left}" y1="${AREA.top}" y2="${bottom}"/>`,
    ...hours.flatMap((hour) => [
      `<line class="axis" x1="${at(x(hour * HOUR))}" x2="${at(x(hour * HOUR))}" y1="${bottom}" y2="${bottom + 5}"/>`,
      `<text class="small" x="${at(x(hour * HOUR))}" y="${bottom + 20}" text-anchor="middle">${hour}</text>`,
    ]),
    `<text x="${at((AREA.left + right) / 2)}" y="${SIZE.height - 14}" text-anchor="middle">hours since the start</text>`,
    ...[
      ['naive', naives, 'naive clients'],
      ['sidecars', sidecars, 'sidecars'],
    ].flatMap(([name, load, label]) => {
      const points = busiest(load as Load).map((rate, index) => [x(index * SPAN * SECOND), y(rate)] as const);
      const middle = points[Math.floor(points.length / 2)] ?? [0, 0];
      return [
        `<polyline class="${name}" points="${points.map(([px, py]) => `${at(px)},${at(py)}`).join(' ')}"/>`,
        `<text class="t${name}" x="${at(x(from) + 60)}" y="${at(middle[1] + (name === 'naive' ? 20 : -10))}">${label}</text>`,
      ];
    }),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img">`;
  return `${head}\n  <title>${title}</title>\n  <style>${STYLE}\n  </style>\n${parts.map((part) => `  ${part}\n`).join('')}</svg>\n`;
}

function busiest({ arrivals }: Load): number[] {
  const rates: number[] = [];
  for (let second = 0; second < arrivals.length - 1; second += SPAN)
    rates.push(Math.max(...arrivals.subarray(second, second + SPAN)));
  return rates;
}

const at = (coordinate: number): string => coordinate.toFixed(1);
