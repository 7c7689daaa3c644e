// Plain SVG pictures for the documentation.

export interface Picture {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  /** CSS; the class "ground" is the background */
  readonly style: string;
}

/** Draws the parts on a background of its own, so that the page's background doesn't matter. */
export function drawPicture({ title, width, height, style }: Picture, parts: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`;
  const ground = `<rect class="ground" width="${width}" height="${height}"/>`;
  const body = [ground, ...parts].map((part) => `  ${part}\n`).join('');
  return `${head}\n  <title>${title}</title>\n  <style>${style}\n  </style>\n${body}</svg>\n`;
}

/** A coordinate as text: a tenth of a pixel is enough. */
export const round = (coordinate: number): string => coordinate.toFixed(1);
