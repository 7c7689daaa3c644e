// Translates schema violations into config problems with readable messages.

import type { TLocalizedValidationError } from 'typebox/error';
import { suggestion } from '../core/nearest.ts';
import { type ConfigProblem, escaped } from './problem.ts';

/** Returns one problem per member: the first of its violated rules. */
export function problemsOf(schema: object, violations: readonly TLocalizedValidationError[]): ConfigProblem[] {
  const problems = new Map<string, ConfigProblem>();
  for (const problem of violations.flatMap((violation) => problemsOfOne(schema, violation)))
    if (!problems.has(problem.pointer)) problems.set(problem.pointer, problem);
  return [...problems.values()];
}

function problemsOfOne(
  schema: object,
  violation: TLocalizedValidationError,
): (ConfigProblem & { readonly pointer: string })[] {
  const { instancePath, message, schemaPath } = violation;
  // Skip the branches of a choice; the violation of the choice itself has a better message.
  if (schemaPath.includes('/anyOf/')) return [];
  const here = (text: string) => [{ pointer: instancePath, message: text }];
  switch (violation.keyword) {
    // An unknown key violates two rules; additionalProperties names it.
    case 'boolean':
      return [];
    case 'additionalProperties': {
      const { patternProperties, properties = {} } = subschemaAt(schema, schemaPath);
      return violation.params.additionalProperties.map((key) => ({
        pointer: `${instancePath}/${escaped(key)}`,
        message: patternProperties
          ? ruleOfName(instancePath)
          : `unknown key${suggestion(key, Object.keys(properties))}`,
      }));
    }
    case 'required':
      return violation.params.requiredProperties.map((key) => ({
        pointer: `${instancePath}/${escaped(key)}`,
        message: 'is required',
      }));
    case 'type':
      return here(`must be ${article(String(violation.params.type))}`);
    case 'minLength':
      return here('must not be empty');
    case 'enum':
      return here(`must be one of ${violation.params.allowedValues.map((one) => JSON.stringify(one)).join(', ')}`);
    case 'minProperties':
    case 'maxProperties': {
      const { properties = {} } = subschemaAt(schema, schemaPath);
      const kinds = Object.keys(properties).map((kind) => JSON.stringify(kind));
      return here(
        kinds.length === 0 ? 'must name at least one exchange' : `must have exactly one of ${kinds.join(', ')}`,
      );
    }
    case 'pattern':
      return here(ruleOfPattern(instancePath));
    case 'anyOf':
      return here(ruleOfChoice(instancePath));
    default:
      return here(message);
  }
}

function ruleOfName(instancePath: string): string {
  if (/\/setup\/policies$/.test(instancePath)) return 'must be named with lower-case letters, digits, "-", "_" and "."';
  if (/\/http\/headers$/.test(instancePath)) return 'must be named with letters, digits and "-"';
  return 'must be named with at most 63 lower-case letters, digits, "-" and "_"';
}

function ruleOfChoice(instancePath: string): string {
  if (instancePath.includes('/bound_claims/')) return 'must be a string, or a list of strings';
  if (instancePath.includes('/http/headers/')) return 'must be a string, {"env": NAME} or {"file": PATH}';
  return 'must be a duration such as "90s" or "1h30m", or whole seconds';
}

function ruleOfPattern(instancePath: string): string {
  if (/mode$/.test(instancePath)) return 'must be permission bits in octal, such as "0640"';
  if (/json_pointer$/.test(instancePath)) return 'must be empty, or begin with "/"';
  if (/server_name$/.test(instancePath)) return 'must be a host name, not an address';
  return 'must be an absolute path';
}

/** Returns the subschema at a path such as "#/properties/vault". */
function subschemaAt(schema: object, path: string): { properties?: object; patternProperties?: object } {
  const names = path.split('/').slice(1);
  return names.reduce<Record<string, unknown>>((part, name) => part[name] as typeof part, { ...schema });
}

function article(type: string): string {
  return /^[aio]/.test(type) ? `an ${type}` : `a ${type}`;
}
