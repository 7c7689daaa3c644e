// Lists with an operator's token what exists in Vault: roles, JWT auth methods, policies. Without the right to do so, nothing is known.

import { ExchangeError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';
import type { LoginSettings } from '../../core/settings.ts';
import { objectOf, parseObject, type VaultRequest } from '../../core/vault-protocol.ts';
import { readCurrent } from '../../setup/read-current.ts';
import { adminRequest } from '../../setup/vault-admin.ts';
import type { VaultClient } from '../../vault/client.ts';
import { currentOf, type Evidence, type ExistingFacts } from '../diagnose/evidence.ts';

interface Asking {
  readonly client: VaultClient;
  readonly token: Secret;
  readonly login: LoginSettings;
}

/** @param policies those of the login's token */
export async function lookAround(
  asking: Asking,
  { policies, ...evidence }: Evidence & { readonly policies: readonly string[] },
): Promise<ExistingFacts> {
  const { setup } = evidence;
  const [role, mount] = [currentOf(evidence, 'role'), currentOf(evidence, 'mount')];
  const planned = setup.role.policies.filter((name) => setup.policies[name] === undefined);
  const named = [...planned, ...[role?.['token_policies'] ?? []].flat().map(String), ...policies];
  const [roles, jwtMounts, missing] = await Promise.all([
    role === undefined ? list(asking, `auth/${asking.login.mount}/role`) : undefined,
    mount === undefined ? jwtMountsIn(asking) : undefined,
    missingPolicies(asking, named),
  ]);
  const all = missing.length === 0 ? undefined : await list(asking, 'sys/policies/acl');
  return { roles, jwtMounts, policies: all, missingPolicies: missing };
}

/** Returns the mounts of the JWT auth methods; "oidc" is an alias of the same auth method. */
async function jwtMountsIn({ client, token, login }: Asking): Promise<readonly string[] | undefined> {
  const mounts = await dataOf(client, adminRequest({ ...login, path: 'sys/auth' }, token));
  if (mounts === undefined) return undefined;
  const isJwt = (mount: unknown) => ['jwt', 'oidc'].includes(String(objectOf(mount)?.['type']));
  return Object.keys(mounts).flatMap((path) => (isJwt(mounts[path]) ? [path.replace(/\/$/, '')] : []));
}

/** A role with more policies than this is checked in part. */
const MOST_POLICIES = 30;

/** Returns those of the policies that don't exist. */
async function missingPolicies({ client, token, login }: Asking, policies: readonly string[]): Promise<string[]> {
  // "default" and "root" always exist; a name with "{{" is a template
  const checked = [...new Set(policies)]
    .filter((name) => !/^(?:default|root)$|\{\{/.test(name))
    .slice(0, MOST_POLICIES);
  const found = await Promise.all(
    checked.map(async (name) => {
      const place = { ...login, kind: 'policy' as const, path: `sys/policies/acl/${name}` };
      return readCurrent(place, client, token).catch(unknown);
    }),
  );
  return checked.filter((_name, index) => found[index] === undefined);
}

/** https://developer.hashicorp.com/vault/api-docs#api-operations: a list is also a GET with list=true */
async function list({ client, token, login }: Asking, path: string): Promise<readonly string[] | undefined> {
  const request = adminRequest({ ...login, path }, token);
  const keys = (await dataOf(client, { ...request, path: `${request.path}?list=true` }))?.['keys'];
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : undefined;
}

async function dataOf(client: VaultClient, request: VaultRequest): Promise<Record<string, unknown> | undefined> {
  const reply = await client.send(request).catch(unknown);
  return 'body' in reply && reply.status === 200 ? objectOf(parseObject(reply.body)?.['data']) : undefined;
}

/** Turns a failed request into no knowledge. */
function unknown(error: unknown): object {
  if (error instanceof ExchangeError) return {};
  throw error;
}
