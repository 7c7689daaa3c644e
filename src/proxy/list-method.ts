// Vault's method LIST, which Node's HTTP parser doesn't know. The first bytes of such a request are changed to a method of the same
// length that the parser knows and Vault doesn't.

export const LIST_STAND_IN = 'LINK';

/** @param chunk the first bytes of a request; changed in place */
export function withKnownMethod(chunk: NonSharedBuffer): NonSharedBuffer {
  if (chunk.toString('latin1', 0, 5) === 'LIST ') chunk.write(LIST_STAND_IN, 'latin1');
  return chunk;
}
