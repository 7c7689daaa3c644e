// Renders a plan as `vault` commands, or as HCL for Terraform's vault provider.
// https://registry.terraform.io/providers/hashicorp/vault/latest/docs/resources/jwt_auth_backend

import { defined } from '../core/defined.ts';
import type { SetupStep, StepValue } from './plan.ts';

/** The older names, which most guides use; Vault accepts both. */
const SHORT: Readonly<Record<string, string>> = {
  token_policies: 'policies',
  token_ttl: 'ttl',
  token_max_ttl: 'max_ttl',
};

/** Renders a step as a command for a POSIX shell. */
export function asCommand({
  kind,
  path,
  body,
  namespace,
}: Pick<SetupStep, 'kind' | 'path' | 'body' | 'namespace'>): string {
  const where = namespace === undefined ? '' : ` -namespace=${quoted(namespace)}`;
  if (kind === 'mount') {
    const mount = path.slice('sys/auth/'.length);
    return `vault auth enable${where}${mount === 'jwt' ? '' : ` -path=${quoted(mount)}`} jwt`;
  }
  if (kind === 'policy') {
    const name = quoted(path.slice('sys/policies/acl/'.length));
    return piped(String(body['policy']).trim(), `vault policy write${where} ${name} -`);
  }
  if (Object.values(body).some(needsJson))
    return piped(JSON.stringify(body, undefined, 2), `vault write${where} ${quoted(path)} -`);
  const members = Object.entries(body).map(([name, value]) => `${SHORT[name] ?? name}=${quoted(textOf(name, value))}`);
  return [`vault write${where} ${quoted(path)}`, ...members].join(members.length > 1 ? ' \\\n    ' : ' ');
}

/**
 * Reports whether `vault write` would misread the value as name=value: a map, "@file", "-" for standard input, or a comma in a
 * list item. Values with line breaks also need JSON, which escapes them.
 */
function needsJson(value: StepValue): boolean {
  if (typeof value !== 'object') return IS_MISREAD.test(String(value));
  return !isList(value) || value.some((one) => one.includes(',') || IS_MISREAD.test(one));
}

const IS_MISREAD = /^\\?@|^-$|[\r\n\t]/;

/** Pipes text into a command. A here-document wouldn't end, as reports indent its delimiter. */
const piped = (text: string, command: string): string => `printf '%s\\n' ${quoted(text)} |\n  ${command}`;

/** Renders one script per Vault, each of which can be pasted whole. */
export function asScript(steps: readonly SetupStep[]): string {
  const addresses = [...new Set(steps.map(({ address }) => address))];
  return addresses
    .map((address) =>
      [
        `export VAULT_ADDR=${quoted(address)}`,
        ...steps.filter((step) => step.address === address).map((step) => `# ${step.why}\n${asCommand(step)}`),
      ].join('\n\n'),
    )
    .join('\n\n');
}

const RESOURCES = {
  trust: 'vault_jwt_auth_backend',
  policy: 'vault_policy',
  role: 'vault_jwt_auth_backend_role',
} as const;

/** Renders the plan for Terraform, where mount and trust config are one resource. */
export function asHcl(steps: readonly SetupStep[]): string {
  const taken = new Set<string>();
  const uniqueName = (wish: string): string => {
    // A name must not begin with a digit, and must be unique.
    let name = wish.replace(/\W/g, '_').replace(/^(?=\d)/, '_');
    while (taken.has(name)) name += '_';
    taken.add(name);
    return name;
  };
  return steps.flatMap((step) => (step.kind === 'mount' ? [] : [resourceOf(step, step.kind, uniqueName)])).join('\n\n');
}

function resourceOf(
  { path, body, namespace }: SetupStep,
  kind: keyof typeof RESOURCES,
  uniqueName: (wish: string) => string,
): string {
  const [, mount = '', role = ''] = /^auth\/(.+?)\/(?:config|role\/([^/]+))$/.exec(path) ?? [];
  const policy = path.slice('sys/policies/acl/'.length);
  const own: Readonly<Record<string, StepValue>> = {
    trust: { path: mount, type: 'jwt' },
    role: { backend: mount, role_name: role },
    policy: { name: policy },
  }[kind];
  const label = uniqueName(kind === 'policy' ? policy : [mount, role].filter(Boolean).join('_'));
  const members = Object.entries({ ...defined({ namespace }), ...own, ...body });
  const width = Math.max(...members.map(([name]) => name.length));
  const lines = members.map(([name, value]) => `  ${name.padEnd(width)} = ${hclOf(value)}`);
  return [`resource "${RESOURCES[kind]}" "${label}" {`, ...lines, '}'].join('\n');
}

/** Renders an HCL string, with "${" and "%{" escaped, which would begin a template. */
const hclText = (text: string): string =>
  JSON.stringify(text)
    .replaceAll(/[$%](?=\{)/g, '$&$&')
    // \b and \f are escapes in JSON but not in HCL.
    .replaceAll(/\\(?:[bf]|.)/g, (code) => ({ '\\b': '\\u0008', '\\f': '\\u000c' })[code] ?? code);

function hclOf(value: StepValue): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return value.includes('\n') ? heredoc(value) : hclText(value);
  if (isList(value)) return `[${value.map(hclText).join(', ')}]`;
  // The provider takes several values of a claim as one comma-separated string.
  const members = Object.entries(value).map(([name, one]) => `${hclText(name)} = ${hclText([one].flat().join(','))}`);
  return `{ ${members.join(', ')} }`;
}

function heredoc(text: string): string {
  let end = 'EOT';
  while (text.includes(end)) end += 'T';
  return `<<-${end}\n${text.trim().replaceAll(/[$%](?=\{)/g, '$&$&')}\n  ${end}`;
}

const isList = (value: StepValue): value is readonly string[] => Array.isArray(value);

function textOf(name: string, value: StepValue): string {
  if (typeof value === 'number' && /_(?:ttl|period)$/.test(name)) return secondsAsText(value);
  return isList(value) ? value.join(',') : String(value);
}

/** Formats seconds as Vault users write them: 3600 as 1h, 5400 as 90m. */
function secondsAsText(seconds: number): string {
  if (seconds % 3600 === 0 && seconds > 0) return `${seconds / 3600}h`;
  return seconds % 60 === 0 && seconds > 0 ? `${seconds / 60}m` : `${seconds}s`;
}

/** Quotes a word for a POSIX shell if it has special characters. */
export function quoted(word: string): string {
  if (/^[\w@%+:,./-]+$/.test(word) || word === '') return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
