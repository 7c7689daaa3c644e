// Configs for tests: a base config, variants of it, and the parser's problems with them.

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

/** The names of all properties in a JSON Schema, at any depth. */
export function memberNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(memberNames)];
}
