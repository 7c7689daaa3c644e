// Schema violations as lines that a person can act on: where, what is wrong, what would be right.

import type { ErrorObject } from 'ajv';

/** One line for each place; where a place breaks several rules the first that says most is kept. */
export function describeViolations(errors: readonly ErrorObject[]): string[] {
  const lines = new Map<string, string>();
  for (const error of errors) {
    const line = describeViolation(error);
    if (line === undefined) continue;
    const [place] = line.split(': ', 1);
    if (place !== undefined && !lines.has(place)) lines.set(place, line);
  }
  return [...lines.values()];
}

function describeViolation({
  keyword,
  instancePath,
  params,
  message,
  parentSchema,
  schemaPath,
}: ErrorObject): string | undefined {
  // the branches of a choice: the choice itself has the line that helps
  if (schemaPath.includes('/anyOf/')) return undefined;
  const place = instancePath === '' ? '/' : instancePath;
  switch (keyword) {
    case 'additionalProperties':
      if (parentSchema?.['patternProperties'] !== undefined) {
        return `${join(instancePath, params['additionalProperty'])}: a name is lower-case letters, digits, "-" and "_", 63 at most`;
      }
      return `${join(instancePath, params['additionalProperty'])}: unknown key`;
    case 'required':
      return `${join(instancePath, params['missingProperty'])}: is required`;
    case 'type':
      return `${place}: must be ${article(String(params['type']))}`;
    case 'minLength':
      return `${place}: must not be empty`;
    case 'enum':
      return `${place}: must be one of ${params['allowedValues'].map((value: unknown) => JSON.stringify(value)).join(', ')}`;
    case 'minProperties':
    case 'maxProperties': {
      const kinds = Object.keys(parentSchema?.['properties'] ?? {}).map((kind) => JSON.stringify(kind));
      return kinds.length === 0
        ? `${place}: must name at least one exchange`
        : `${place}: must have exactly one of ${kinds.join(', ')}`;
    }
    case 'pattern':
      if (/mode$/.test(instancePath)) return `${place}: must be permission bits in octal, such as "0640"`;
      if (/\/setup\/policies/.test(instancePath)) return `${place}: must be a policy's name in lower case`;
      if (/server_name$/.test(instancePath)) return `${place}: must be a host name, not an address`;
      return `${place}: must be an absolute path`;
    case 'anyOf':
      return `${place}: must be a duration such as "90s" or "1h30m", or whole seconds`;
    default:
      return `${place}: ${message}`;
  }
}

const join = (path: string, key: string): string => `${path}/${key}`;

function article(type: string): string {
  return /^[aio]/.test(type) ? `an ${type}` : `a ${type}`;
}
