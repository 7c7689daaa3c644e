// Configs for tests: a plain one, others made of it, and what the parser says of them.

import assert from 'node:assert/strict';
import { parseConfig } from '../../src/config/parse.ts';
import { ConfigError } from '../../src/config/problem.ts';

type Json = Record<string, unknown>;

export const APP = {
  source: { file: { path: '/jwt/token' } },
  login: { role: 'app' },
  sinks: [{ file: { path: '/vault/token' } }],
};
export const BASE = { vault: { address: 'https://vault:8200' }, exchanges: { app: APP } };

export const parse = (config: unknown, env: Record<string, string> = {}) =>
  parseConfig(typeof config === 'string' ? config : JSON.stringify(config), { fileName: 'config.json', env });

export function problemsOf(config: unknown, env: Record<string, string> = {}): readonly string[] {
  try {
    parse(config, env);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.lines;
  }
}

export const withApp = (members: Json): Json => ({ ...BASE, exchanges: { app: { ...APP, ...members } } });
export const withVault = (members: Json): Json => ({ ...BASE, vault: { ...BASE.vault, ...members } });
export const withSink = (members: Json): Json => withApp({ sinks: [{ file: { path: '/vault/token', ...members } }] });

/** Every member that a JSON Schema names, at any depth. */
export function memberNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(memberNames)];
}
