// Draws the life of a pod: a panel for each phase, a lane for kubelet, the sidecar and the application. Plain SVG that follows the
// reader's light or dark scheme.

import { drawPicture, round } from '../support/svg.ts';

const LANES = ['kubelet', 'sidecar', 'application'] as const;

export interface Mark {
  readonly lane: (typeof LANES)[number];
  /** milliseconds since 1970 */
  readonly at: number;
  readonly text: string;
}

export interface Phase {
  readonly title: string;
  readonly from: number;
  readonly marks: readonly Mark[];
}

const WIDTH = 860;
const LEFT = 110;
const RIGHT = 150;
const LANE = 34;
/** more than the width of a text */
const TEXT = 120;
const PANEL = 40 + LANES.length * LANE + 34;

const STYLE = `
    .ground { fill: #ffffff } .lane { stroke: #d9dde3 } .axis { stroke: #59636e }
    text { fill: #24292f; font: 13px system-ui, sans-serif } .title { font-size: 15px; font-weight: 600 }
    .small { font-size: 12px } .kubelet { fill: #59636e } .sidecar { fill: #0f6fbf } .application { fill: #1a7f37 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } .lane { stroke: #2a313a } .axis { stroke: #8b949e } text { fill: #e6edf3 }
      .kubelet { fill: #8b949e } .sidecar { fill: #58a6ff } .application { fill: #3fb950 }
    }`;

export function drawTimeline(phases: readonly Phase[]): string {
  const height = phases.length * PANEL + 10;
  const panels = phases.flatMap((phase, index) => drawPhase(phase, index * PANEL + 10));
  const title = 'How a pod starts, rotates its token and ends';
  return drawPicture({ title, width: WIDTH, height, style: STYLE }, panels);
}

function drawPhase({ title, from, marks }: Phase, top: number): string[] {
  const longest = Math.max(...marks.map(({ at }) => at - from));
  const step = [100, 250, 500, 1000, 2500, 5000].find((ms) => longest / ms <= 8) ?? 10_000;
  const end = Math.ceil(longest / step) * step;
  const x = (ms: number) => LEFT + ((WIDTH - LEFT - RIGHT) * ms) / end;
  const y = (lane: Mark['lane']) => top + 40 + LANES.indexOf(lane) * LANE + LANE / 2;
  const bottom = top + 40 + LANES.length * LANE;
  const ticks = Array.from({ length: end / step + 1 }, (_, index) => index * step);
  return [
    `<text class="title" x="${LEFT}" y="${top + 22}">${title}</text>`,
    ...LANES.flatMap((lane) => [
      `<text x="${LEFT - 14}" y="${y(lane) + 4}" text-anchor="end">${lane}</text>`,
      `<line class="lane" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(lane)}" y2="${y(lane)}"/>`,
    ]),
    `<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}"/>`,
    ...ticks.flatMap((ms) => [
      `<line class="axis" x1="${round(x(ms))}" x2="${round(x(ms))}" y1="${bottom}" y2="${bottom + 4}"/>`,
      `<text class="small" x="${round(x(ms))}" y="${bottom + 18}" text-anchor="middle">${ms / 1000} s</text>`,
    ]),
    ...marks.flatMap((mark) => {
      const isFollowed = marks.some(({ lane, at }) => lane === mark.lane && at > mark.at && x(at) - x(mark.at) < TEXT);
      return drawMark(mark, { x: x(mark.at - from), y: y(mark.lane), isFollowed });
    }),
  ];
}

/** @param isFollowed whether the next mark is so near that this one's text must end before it */
function drawMark({ lane, text }: Mark, { x, y, isFollowed }: { x: number; y: number; isFollowed: boolean }): string[] {
  const where = isFollowed ? `x="${round(x - 9)}" text-anchor="end"` : `x="${round(x + 9)}"`;
  return [
    `<circle class="${lane}" cx="${round(x)}" cy="${y}" r="5"/>`,
    `<text class="small" ${where} y="${y - 6}">${text}</text>`,
  ];
}
