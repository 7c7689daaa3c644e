// Schema violations as lines that a person can act on: where, what is wrong, what would be right.

import type { TLocalizedValidationError } from 'typebox/error';

/** One line for each place; where a place breaks several rules the first that says most is kept. */
export function describeViolations(schema: object, violations: readonly TLocalizedValidationError[]): string[] {
  const lines = new Map<string, string>();
  for (const line of violations.flatMap((violation) => describeViolation(schema, violation))) {
    const [place = ''] = line.split(': ', 1);
    if (!lines.has(place)) lines.set(place, line);
  }
  return [...lines.values()];
}

function describeViolation(schema: object, violation: TLocalizedValidationError): string[] {
  const { instancePath, message, schemaPath } = violation;
  // the branches of a choice: the choice itself has the line that helps
  if (schemaPath.includes('/anyOf/')) return [];
  const place = instancePath === '' ? '/' : instancePath;
  switch (violation.keyword) {
    // an unknown key breaks two rules; the other one tells
    case 'boolean':
      return [];
    case 'additionalProperties': {
      const isNamed = 'patternProperties' in subschemaAt(schema, schemaPath);
      const rule = isNamed ? ruleOfName(instancePath) : 'unknown key';
      return violation.params.additionalProperties.map((key) => `${instancePath}/${key}: ${rule}`);
    }
    case 'required':
      return violation.params.requiredProperties.map((key) => `${instancePath}/${key}: is required`);
    case 'type':
      return [`${place}: must be ${article(String(violation.params.type))}`];
    case 'minLength':
      return [`${place}: must not be empty`];
    case 'enum':
      return [
        `${place}: must be one of ${violation.params.allowedValues.map((one) => JSON.stringify(one)).join(', ')}`,
      ];
    case 'minProperties':
    case 'maxProperties': {
      const { properties = {} } = subschemaAt(schema, schemaPath) as { properties?: object };
      const kinds = Object.keys(properties).map((kind) => JSON.stringify(kind));
      return [
        kinds.length === 0
          ? `${place}: must name at least one exchange`
          : `${place}: must have exactly one of ${kinds.join(', ')}`,
      ];
    }
    case 'pattern':
      return [`${place}: ${ruleOfPattern(instancePath)}`];
    case 'anyOf':
      return [
        /\/bound_claims\//.test(instancePath)
          ? `${place}: must be a text, or a list of texts`
          : `${place}: must be a duration such as "90s" or "1h30m", or whole seconds`,
      ];
    default:
      return [`${place}: ${message}`];
  }
}

const ruleOfName = (instancePath: string): string =>
  /\/setup\/policies$/.test(instancePath)
    ? 'a policy\'s name is lower-case letters, digits, "-", "_" and "."'
    : 'a name is lower-case letters, digits, "-" and "_", 63 at most';

function ruleOfPattern(instancePath: string): string {
  if (/mode$/.test(instancePath)) return 'must be permission bits in octal, such as "0640"';
  if (/server_name$/.test(instancePath)) return 'must be a host name, not an address';
  return 'must be an absolute path';
}

/** The part of the schema that a path such as "#/properties/vault" leads to. */
function subschemaAt(schema: object, path: string): object {
  const names = path.split('/').slice(1);
  return names.reduce<Record<string, unknown>>((part, name) => part[name] as typeof part, { ...schema });
}

function article(type: string): string {
  return /^[aio]/.test(type) ? `an ${type}` : `a ${type}`;
}
