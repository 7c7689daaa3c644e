// Creates mutants of a source file: small changes that a test should detect. It works on TypeScript's tokens, and
// leaves comments, strings, imports and types alone.

export interface Mutant {
  readonly file: string;
  /** from 1 */
  readonly line: number;
  /** the source line before and after, trimmed */
  readonly before: string;
  readonly after: string;
  /** the whole mutated file */
  readonly text: string;
}

type Operator = (code: string) => readonly { readonly at: number; readonly length: number; readonly text: string }[];

const replacing =
  (pattern: RegExp, replacement: (found: string) => string): Operator =>
  (code) =>
    [...code.matchAll(pattern)].map((match) => ({
      at: match.index,
      length: match[0].length,
      text: replacement(match[0]),
    }));

const SWAPS: Readonly<Record<string, string>> = {
  '===': '!==',
  '!==': '===',
  ' < ': ' <= ',
  ' <= ': ' < ',
  ' > ': ' >= ',
  ' >= ': ' > ',
  ' && ': ' || ',
  ' || ': ' && ',
  ' + ': ' - ',
  ' - ': ' + ',
  'Math.min': 'Math.max',
  'Math.max': 'Math.min',
  true: 'false',
  false: 'true',
};

const OPERATORS: readonly Operator[] = [
  replacing(
    /===|!==| <=? | >=? | && | \|\| | [+-] |Math\.(?:min|max)|\b(?:true|false)\b/g,
    (found) => SWAPS[found] ?? found,
  ),
  // a condition turned round, where it is one word or call
  replacing(/(?<=\bif \()!?(?=[\w.?]+(?:\([^()]*\))?\))/g, (found) => (found === '!' ? '' : '!')),
  // a constant of another size
  (code) =>
    /^\s*(?:export )?const [A-Z][A-Z_]+ = /.test(code)
      ? [...code.matchAll(/\b\d[\d_]*\b/g)].map(({ 0: found, index }) => ({
          at: index,
          length: found.length,
          text: String(Number(found.replaceAll('_', '')) * 2 || 1),
        }))
      : [],
  // a statement left out
  (code) =>
    /^\s*(?:(?:await|void) )?[\w.#?]+\(.*\);\s*$/.test(code) ||
    /^\s*if \(.*\) (?:return|continue|throw|break)\b.*;\s*$/.test(code)
      ? [{ at: 0, length: code.trimEnd().length, text: '' }]
      : [],
];

export function mutantsOf(file: string, text: string): readonly Mutant[] {
  const lines = text.split('\n');
  const code = maskedLines(text);
  return lines.flatMap((line, index) => {
    const masked = code[index] ?? '';
    if (masked.trim() === '') return [];
    return OPERATORS.flatMap((operator) => operator(masked)).map(({ at, length, text: replacement }) => {
      const after = line.slice(0, at) + replacement + line.slice(at + length);
      return {
        file,
        line: index + 1,
        before: line.trim(),
        after: after.trim(),
        text: lines.with(index, after).join('\n'),
      };
    });
  });
}

/** The lines, with spaces in place of everything that isn't executable code. */
function maskedLines(text: string): string[] {
  const blank = (found: string) => found.replace(/[^\n]/g, ' ');
  const bare = text
    .replace(/\/\*[\s\S]*?\*\/|(?<![:'"\\])\/\/.*$/gm, blank)
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (found) => {
      // the quotes stay, so that an expression keeps its shape
      return found[0] + blank(found.slice(1, -1)) + found.at(-1);
    })
    .replace(/^(?:import|export type|export \{|type )[\s\S]*?;$/gm, blank)
    .replace(/^(?:export )?interface [\s\S]*?^\}$/gm, blank);
  return bare.split('\n');
}
