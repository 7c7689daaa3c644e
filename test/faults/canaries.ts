// Secrets that are looked for wherever a process shows anything: each one minted is a canary, and none may be found.

const SETTLE_MS = 2000;

export interface Canaries {
  /** a JWT, or a Vault token */
  add(secret: string): void;
  /** what was shown there */
  shown(place: string, text: string): void;
  /** Looks through all that was shown at least two seconds ago, or through all. */
  look(all?: boolean): void;
  readonly found: readonly string[];
  counts(): { secrets: number; places: number; bytes: number };
}

export function openCanaries(): Canaries {
  const secrets = new Set<string>();
  const pieces = new Set<string>();
  /** what is still to be looked through: a secret may be shown before we know of it */
  const shown = new Map<string, { text: string; at: number }[]>();
  /** the end of what was looked through, since a secret may lie across two parts */
  const ends = new Map<string, string>();
  const found: string[] = [];
  let bytes = 0;
  return {
    found,
    add(secret) {
      if (secrets.has(secret)) return;
      secrets.add(secret);
      const [header, ...parts] = secret.split('.');
      // a JWT's header is in every JWT, and no secret; a Vault token's is "hvs"
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
