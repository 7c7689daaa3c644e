// Canaries: every secret that was minted. They are searched for in all output of a process, and none may be found.

const SETTLE_MS = 2000;

export interface Canaries {
  /** a JWT, or a Vault token */
  add(secret: string): void;
  /** Records output of the process, to be searched. */
  shown(place: string, text: string): void;
  /** Searches the output recorded at least two seconds ago, or all of it. */
  look(all?: boolean): void;
  readonly found: readonly string[];
  counts(): { secrets: number; places: number; bytes: number };
}

export function openCanaries(): Canaries {
  const secrets = new Set<string>();
  const pieces = new Set<string>();
  /** The output still to be searched: a secret may appear before `add` is called with it. */
  const shown = new Map<string, { text: string; at: number }[]>();
  /** The end of the searched output, since a secret may span two chunks. */
  const ends = new Map<string, string>();
  const found: string[] = [];
  let bytes = 0;
  return {
    found,
    add(secret) {
      if (secrets.has(secret)) return;
      secrets.add(secret);
      const [header, ...parts] = secret.split('.');
      // leave out the parts that aren't secret: a JWT's header, and the "hvs." of a Vault token
      for (const part of header?.startsWith('eyJ') ? parts : [secret.slice(4)]) {
        pieces.add(part.slice(0, 24));
        pieces.add(part.slice(-24));
      }
    },
    shown(place, text) {
      bytes += text.length;
      const texts = shown.get(place) ?? [];
      texts.push({ text, at: performance.now() });
      shown.set(place, texts);
    },
    look(all = false) {
      const until = all ? Number.POSITIVE_INFINITY : performance.now() - SETTLE_MS;
      for (const [place, texts] of shown) {
        const ripe = texts.filter(({ at }) => at <= until);
        if (ripe.length === 0) continue;
        texts.splice(0, ripe.length);
        const text = (ends.get(place) ?? '') + ripe.map((one) => one.text).join('');
        ends.set(place, text.slice(-200));
        for (const piece of pieces) if (text.includes(piece)) found.push(`${place}: ${around(text, piece)}`);
      }
    },
    counts: () => ({ secrets: secrets.size, places: shown.size, bytes }),
  };
}

function around(text: string, piece: string): string {
  const at = text.indexOf(piece);
  return text.slice(Math.max(0, at - 80), at + 40);
}
