// Lays out text in lines, for the help and the documentation.

/** Breaks a text into lines of at most `width` characters; longer words stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}

/** Returns rows of a name and its meaning in two columns, indented, in lines of at most `width` characters. */
export function columns(rows: readonly (readonly [string, string])[], width: number): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows.flatMap(([name, meaning]) => {
    const [first = '', ...rest] = wrap(meaning, width - left);
    return [`  ${name}`.padEnd(left) + first, ...rest.map((line) => ' '.repeat(left) + line)];
  });
}
