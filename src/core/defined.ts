// Builds objects without undefined members, as the compiler option exactOptionalPropertyTypes requires.

/** Returns a copy without the members that are undefined. */
export const defined = <T extends object>(members: T): Defined<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
