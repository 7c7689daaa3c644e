// A YAML parser that is independent of the sidecar.

import { execFileSync } from 'node:child_process';
import { debian } from './tools.ts';

const TO_JSON = 'import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin)), default=str))';

let isInstalled = false;

/** Parses YAML texts of one document each. */
export function parseYaml(texts: readonly string[]): unknown[] {
  if (!isInstalled) debian('python3-yaml');
  isInstalled = true;
  const options = { input: texts.join('\n---\n'), encoding: 'utf8' } as const;
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', TO_JSON], options));
}
