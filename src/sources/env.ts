// The workload JWT in an environment variable, as GitLab CI passes ID tokens. It can't change while the process runs.

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
