// Requests of the setup to Vault's HTTP API, with an operator's token: reading and writing mounts, trust configs, policies, roles.
// https://developer.hashicorp.com/vault/api-docs/auth/jwt, .../system/auth, .../system/policies

import { defined } from '../core/defined.ts';
import type { Failure } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { judgeRefusal, objectOf, parseObject, type VaultReply, type VaultRequest } from '../core/vault-protocol.ts';
import type { Current } from './diff.ts';
import type { SetupStep } from './plan.ts';

const MOUNTS = 'sys/auth';

/** @param body undefined for a read */
export function adminRequest(
  { path, namespace }: Pick<SetupStep, 'path' | 'namespace'>,
  token: Secret,
  body?: Readonly<Record<string, unknown>>,
): VaultRequest {
  return {
    method: body === undefined ? 'GET' : 'POST',
    path: `/v1/${path.split('/').map(encodeURIComponent).join('/')}`,
    token,
    ...defined({ namespace }),
    ...(body === undefined ? {} : { body: new Secret(JSON.stringify(body)) }),
  };
}

/** Returns the request that reads a step's path. For a mount it lists all mounts, as reading a single one needs more rights. */
export const readRequest = (step: Pick<SetupStep, 'kind' | 'path' | 'namespace'>, token: Secret): VaultRequest =>
  adminRequest({ ...step, path: step.kind === 'mount' ? MOUNTS : step.path }, token);

/** @returns the current content; undefined if the path is empty */
export function judgeRead(
  step: Pick<SetupStep, 'kind' | 'path' | 'namespace'>,
  reply: VaultReply,
  token: Secret,
): { readonly current: Current } | Failure {
  const { kind, path, namespace } = step;
  if (reply.status === 404 && kind !== 'mount') return { current: undefined };
  const failure = refusalAt(
    { namespace, path: kind === 'mount' ? MOUNTS : path, capabilities: ['read'] },
    reply,
    token,
  );
  // Every namespace has a list of mounts.
  if (reply.status === 404)
    return { ...failure, code: namespace === undefined ? 'bad_response' : 'setup_namespace_missing' };
  if (reply.status !== 200) return failure;
  const data = objectOf(parseObject(reply.body)?.['data']);
  if (data === undefined) return { code: 'bad_response', facts: { kind: 'reply-unusable', problem: 'no-data', path } };
  return { current: kind === 'mount' ? objectOf(data[`${path.slice('sys/auth/'.length)}/`]) : data };
}

/** @returns undefined if the write succeeded */
export function judgeWrite(
  { kind, path, namespace }: Pick<SetupStep, 'kind' | 'path' | 'namespace'>,
  reply: VaultReply,
  token: Secret,
): Failure | undefined {
  if (reply.status === 200 || reply.status === 204) return undefined;
  const capabilities = kind === 'mount' ? ['create', 'update', 'sudo'] : ['create', 'read', 'update'];
  return refusalAt({ path, namespace, capabilities }, reply, token);
}

interface Place {
  readonly path: string;
  readonly namespace: string | undefined;
  readonly capabilities: readonly string[];
}

function refusalAt({ path, namespace, capabilities }: Place, reply: VaultReply, token: Secret): Failure {
  const failure = judgeRefusal('setup', reply, [token]);
  if (failure.facts?.kind !== 'reply') return failure;
  return { ...failure, facts: { ...failure.facts, path, capabilities, ...defined({ namespace }) } };
}
