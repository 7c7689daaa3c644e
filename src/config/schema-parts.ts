// The parts of which the schema of the config is built.

import Type from 'typebox';
import { defined } from '../core/defined.ts';

export const strict = { additionalProperties: false } as const;
export const text = (description: string) => Type.String({ minLength: 1, description });
export const path = (description: string) =>
  Type.String({ pattern: '^/.+', description: `${description}; an absolute path` });
export const duration = (description: string, fallback?: string) =>
  Type.Union([Type.String(), Type.Integer()], {
    description: `${description}: a duration such as "90s" or "1h30m", or whole seconds`,
    ...defined({ default: fallback }),
  });
export const flag = (description: string) => Type.Boolean({ description, default: false });
/** A variant has exactly one key, its kind, so that an error names the key. */
export const oneKey = { ...strict, minProperties: 1, maxProperties: 1 } as const;
