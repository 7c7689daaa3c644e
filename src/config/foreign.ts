// Recognises a config file in another format than JSON, to say so in one line instead of a syntax error. Never quotes the file,
// which may hold secrets.

import { visit } from 'jsonc-parser';

interface Format {
  readonly isIt: (line: string) => boolean;
  readonly message: string;
}

const NEAR_JSON = 'is JSON with comments or trailing commas; the config is plain JSON: remove them';

/** In the order of their checks: `A=b` is an environment file, `a = "b"` is HCL. */
const FORMATS: readonly Format[] = [
  {
    isIt: (line) => /^(?:export\s+)?[A-Z_][A-Z0-9_]*=/.test(line),
    message:
      'looks like a file with environment variables; the config is JSON: set the variables in the environment, and leave out --config',
  },
  {
    isIt: (line) => /^[\w-]+\s*(?:"[^"]*"\s*)*(?:=|\{)/.test(line) || /^(?:\/\/|\/\*)/.test(line),
    message:
      'looks like HCL; the config is JSON: "vault-token-sidecar init" writes one, and docs/from-vault-agent.md has the keys of Vault Agent',
  },
  {
    isIt: (line) => /^(?:---|%YAML)/.test(line) || /^(?:-\s+)?["']?[\w.$/-]+["']?\s*:(?:\s|$)/.test(line),
    message: 'looks like YAML; the config is JSON: convert it, for example with "yq -o=json"',
  },
];

/** Returns what a text that is no JSON is instead, as a message; undefined if it looks like JSON with mistakes. */
export function foreignFormat(text: string): string | undefined {
  let isNearJson = true;
  const onError = () => {
    isNearJson = false;
  };
  visit(text, { onError }, { disallowComments: false, allowTrailingComma: true });
  if (isNearJson) return NEAR_JSON;
  const line = text
    .split('\n')
    .map((one) => one.trim())
    .find((one) => one !== '' && !one.startsWith('#'));
  return line === undefined ? undefined : FORMATS.find(({ isIt }) => isIt(line))?.message;
}
