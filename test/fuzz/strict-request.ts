// Decides which bytes may be answered with the token: a strict parser of HTTP/1.1 (RFC 9112), independent of the
// daemon's code, which refuses everything that two parsers could interpret differently.

interface Head {
  readonly first: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** The number of requests in `bytes`, one character a byte, that may be answered with the token. */
export function deserving(bytes: string, port: number): number {
  let found = 0;
  let rest = bytes.replace(/^[\r\n]+/, '');
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    const head = end < 0 ? undefined : readHead(rest.slice(0, end));
    if (head === undefined) return found;
    rest = rest.slice(end + 4);
    if (isGood(head, port)) found += 1;
    const after = bodyEnd(head, rest);
    if (after === undefined || isLast(head)) return found;
    rest = rest.slice(after).replace(/^[\r\n]+/, '');
  }
}

function readHead(text: string): Head | undefined {
  const [first = '', ...lines] = text.split('\r\n');
  const headers = lines.map((line) => /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(line));
  if (headers.includes(null)) return undefined;
  return { first, headers: headers.map((match) => [match?.[1]?.toLowerCase() ?? '', match?.[2] ?? '']) };
}

const valuesOf = ({ headers }: Head, name: string): readonly string[] =>
  headers.flatMap(([one, value]) => (one === name ? [value] : []));

const isLast = (head: Head): boolean =>
  valuesOf(head, 'connection').some((value) => value.split(',').some((one) => one.trim().toLowerCase() === 'close'));

/** The end of the body in `rest`; undefined if it is ambiguous. */
function bodyEnd(head: Head, rest: string): number | undefined {
  const lengths = valuesOf(head, 'content-length');
  if (valuesOf(head, 'transfer-encoding').length > 0) {
    if (lengths.length > 0 || valuesOf(head, 'transfer-encoding').join().toLowerCase() !== 'chunked') return undefined;
    const chunks = /^(?:0*[1-9a-f][\da-f]*\r\n[\s\S]*?\r\n)*0+\r\n(?:[^\r\n]+\r\n)*\r\n/i.exec(rest);
    return chunks?.[0].length;
  }
  if (lengths.length === 0) return 0;
  return lengths.length === 1 && /^\d{1,9}$/.test(lengths[0] ?? '') ? Number(lengths[0]) : undefined;
}

function isGood(head: Head, port: number): boolean {
  const only = (name: string, allowed: RegExp) => {
    const values = valuesOf(head, name);
    return values.length === 1 && allowed.test(values[0] ?? '');
  };
  const none = (...names: readonly string[]) => names.every((name) => valuesOf(head, name).length === 0);
  return (
    /^GET +\/[\x21-\x7e\x80-\xff]* +HTTP\/1\.1$/.test(head.first) &&
    only('host', new RegExp(`^(127\\.0\\.0\\.1|localhost|\\[::1\\]):${port}$`, 'i')) &&
    only('x-vault-request', /^true$/) &&
    none('transfer-encoding', 'origin', 'forwarded', 'via', 'x-real-ip') &&
    !head.headers.some(([name]) => name.startsWith('x-forwarded-')) &&
    (none('content-length') || only('content-length', /^0+$/)) &&
    valuesOf(head, 'sec-fetch-site').every((value) => value === 'none')
  );
}
