// A string that can't be printed by accident, such as a workload JWT, a Vault token or a request body: every conversion
// to text returns [redacted], except reveal(), which is easy to search for.
// JavaScript strings can't be wiped from memory, so this protects outputs, not the heap.

const REDACTED = '[redacted]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the plain text. Call it only at the point of use: a request, a sink's file, an API's reply. */
  reveal(): string {
    return this.#text;
  }

  equals(other: Secret): boolean {
    return this.#text === other.#text;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}

const ONE_PRINTABLE_WORD = /^[\x21-\x7e]{8,8192}$/;

/** Reports whether a text can be a Vault token: printable ASCII without whitespace, safe in a header or a line. */
export const isTokenText = (text: string): boolean => ONE_PRINTABLE_WORD.test(text);

// Matches a JWT (base64url parts, the first of which begins like a JOSE header, with or without whitespace) or a Vault
// token in the current (hvs. hvb. hvr.) or old (s. b. r.) format. The old format must start a word, or follow an escape
// such as \n in JSON.
const LOOKS_SECRET =
  /(?:eyJ[\w-]*|(?:eyA|ewo|ew0|ewk)[\w-]{8,})(?:\.[\w-]*){1,4}|hv[sbr]\.[\w-]{8,}|(?:(?<![A-Za-z0-9])|(?<=\\(?:[bfnrt]|u[0-9a-f]{4})))[sbr]\.[\w-]{20,}/g;

/** Redacts the `known` secrets, and anything that looks like a JWT or a Vault token, in a text from outside. */
export function scrub(text: string, known: readonly Secret[] = []): string {
  let clean = text;
  for (const secret of known) {
    const exact = secret.reveal();
    if (exact.length >= 8) clean = clean.replaceAll(exact, REDACTED);
  }
  return clean.replace(LOOKS_SECRET, REDACTED);
}

// Control and format characters (bidi overrides, zero-width and tag characters), line separators, lone surrogates.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Returns the text as one line that is safe to show: each unprintable character becomes U+FFFD. */
export const withoutControls = (text: string): string => text.replaceAll(UNPRINTABLE, '\uFFFD');

/** Does the same as withoutControls, but keeps line breaks: for multi-line text of the sidecar's own. */
export const linesWithoutControls = (text: string): string => text.split('\n').map(withoutControls).join('\n');

/** Returns the first unprintable character, such as "U+202E"; undefined if there is none. */
export function unprintableIn(text: string): string | undefined {
  const [found] = text.match(UNPRINTABLE) ?? [];
  const hex = found?.codePointAt(0)?.toString(16).toUpperCase();
  return hex === undefined ? undefined : `U+${hex.padStart(4, '0')}`;
}

/** Returns the text as one safe line of at most `most` characters; a longer one ends in "...". */
export const shortened = (text: string, most: number): string =>
  withoutControls(text.length > most ? `${text.slice(0, most)}...` : text);

/** Returns a server's message as one safe line of at most 300 characters, without the `known` secrets. */
export const scrubbedLine = (text: string, known: readonly Secret[]): string =>
  shortened(scrub(text, known).replace(/\s+/g, ' ').trim(), 300);

/** Returns a text from outside as one safe line of at most 200 characters. */
export const printable = (text: string): string => shortened(text, 200);

/** Returns the first line, safe to show; followed by " ..." if there are more lines. */
export function oneLine(text: string): string {
  const [first = ''] = text.split('\n');
  return withoutControls(text.includes('\n') ? `${first} ...` : text);
}
