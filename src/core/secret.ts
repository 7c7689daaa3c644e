// A string that can't be printed by accident: a workload JWT, a Vault token, a request body that holds one.
// Every way that JavaScript turns an object into text answers [redacted]; the only way out is reveal(), which is
// easy to search for. JavaScript strings can't be wiped from memory: this guards outputs, not the heap.

const REDACTED = '[redacted]';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself. Call it only where it leaves for its destination: a request, a sink's file, an API's reply. */
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

/** True for what can be a Vault token: one printable word, so that no header, line or reader can take it for more. */
export const isTokenText = (text: string): boolean => ONE_PRINTABLE_WORD.test(text);

// Base64url parts that begin like a JOSE header, compact or with blanks in it, or a Vault token in today's (hvs. hvb. hvr.)
// and the old (s. b. r.) form: no part of a longer word, but for the letter of an escape such as \n in JSON.
const LOOKS_SECRET =
  /(?:eyJ[\w-]*|(?:eyA|ewo|ew0|ewk)[\w-]{8,})(?:\.[\w-]*){1,4}|hv[sbr]\.[\w-]{8,}|(?:(?<![A-Za-z0-9])|(?<=\\(?:[bfnrt]|u[0-9a-f]{4})))[sbr]\.[\w-]{20,}/g;

/** Removes whatever looks like a JWT or a Vault token from a text of foreign origin, and every one of `known`. */
export function scrub(text: string, known: readonly Secret[] = []): string {
  let clean = text;
  for (const secret of known) {
    const exact = secret.reveal();
    if (exact.length >= 8) clean = clean.replaceAll(exact, REDACTED);
  }
  return clean.replace(LOOKS_SECRET, REDACTED);
}

// Control characters, format characters (bidi overrides, zero-width and tag characters), line separators, lone surrogates.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Returns the text as one line that is safe to show: each unprintable character becomes U+FFFD. */
export const withoutControls = (text: string): string => text.replaceAll(UNPRINTABLE, '\uFFFD');

/** The same for a text of several lines that are ours: its line breaks stay. */
export const linesWithoutControls = (text: string): string => text.split('\n').map(withoutControls).join('\n');

/** The first unprintable character, such as "U+202E"; undefined if there is none. */
export function unprintableIn(text: string): string | undefined {
  const [found] = text.match(UNPRINTABLE) ?? [];
  const hex = found?.codePointAt(0)?.toString(16).toUpperCase();
  return hex === undefined ? undefined : `U+${hex.padStart(4, '0')}`;
}

/** Returns the text as one safe line of at most `most` characters; a longer one ends in "...". */
export const shortened = (text: string, most: number): string =>
  withoutControls(text.length > most ? `${text.slice(0, most)}...` : text);

/** Returns a text of others as one safe line of at most 200 characters. */
export const printable = (text: string): string => shortened(text, 200);

/** The first line as it is safe to show, with a sign that there are more. */
export function oneLine(text: string): string {
  const [first = ''] = text.split('\n');
  return withoutControls(text.includes('\n') ? `${first} ...` : text);
}
