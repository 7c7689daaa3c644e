// Optional members: absent or of their type, never undefined (exactOptionalPropertyTypes).

/** Returns the members that aren't undefined. */
export const defined = <T extends object>(members: T): Defined<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Defined<T>;

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
