// Pictures of a terminal window: plain SVG without scripts and fonts of its own. Its text can be selected.

import { type Colour, type Line, rowsOf, textOf } from './lines.ts';
import { COLUMNS } from './window.ts';

const [CELL, ROW, FONT] = [7.8, 18, 13];
const [MARGIN, BAR] = [18, 34];

/** Readable on a light and on a dark page. */
const COLOURS: Readonly<Record<Colour, string>> = {
  dim: '#8b949e',
  red: '#ff7b72',
  green: '#56d364',
  yellow: '#e3b341',
  blue: '#79c0ff',
  cyan: '#76e3ea',
};
const STYLE = `
    .window { fill: #0d1117; stroke: #444c56 } .bar { fill: #8b949e; font-size: 12px }
    text { fill: #e6edf3; font: ${FONT}px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre }
${Object.entries(COLOURS)
  .map(([name, colour]) => `    .${name} { fill: ${colour} }\n`)
  .join('')}`;

/** Draws lines as a window of 100 columns. @param title the text in the bar of the window */
export function drawWindow(title: string, lines: readonly Line[]): string {
  const end = lines.findLastIndex((line) => textOf(line).trim() !== '') + 1;
  const rows = lines.slice(0, end).flatMap((line) => rowsOf(line, COLUMNS));
  const width = COLUMNS * CELL + 2 * MARGIN;
  const height = BAR + rows.length * ROW + MARGIN;
  const texts = rows.map((row, index) => drawRow(row, BAR + (index + 1) * ROW - 4));
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    `  <title>${escaped(title)}</title>`,
    `  <style>${STYLE}  </style>`,
    `  <rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="9"/>`,
    ...['red', 'yellow', 'green'].map(
      (colour, index) => `  <circle class="${colour}" cx="${MARGIN + 4 + index * 18}" cy="17" r="5"/>`,
    ),
    `  <text class="bar" x="${width / 2}" y="21" text-anchor="middle">${escaped(title)}</text>`,
    ...texts.filter((text) => text !== ''),
    '</svg>',
  ].join('\n')}\n`;
}

function drawRow(row: Line, y: number): string {
  const spans = row.map(({ text, colour }) =>
    colour === undefined ? escaped(text) : `<tspan class="${colour}">${escaped(text)}</tspan>`,
  );
  const content = spans.join('').trimEnd();
  return content === '' ? '' : `  <text x="${MARGIN}" y="${y}" xml:space="preserve">${content}</text>`;
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
