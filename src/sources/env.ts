// The workload JWT in an environment variable, as GitLab CI hands out ID tokens: one JWT, which can't change.

import { ExchangeError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { JwtSource } from './source.ts';

export function openEnvSource(name: string, env: Readonly<Record<string, string | undefined>>): JwtSource {
  return {
    watched: true,
    async read() {
      const value = env[name];
      if (value === undefined) throw new ExchangeError('jwt_missing', { kind: 'variable', name, problem: 'unset' });
      if (value.trim() === '') throw new ExchangeError('jwt_empty', { kind: 'variable', name, problem: 'empty' });
      return new Secret(value.trim());
    },
    async close() {},
  };
}
