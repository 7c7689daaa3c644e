// Reads the current content of a step's path in Vault, with an operator's token.

import { unlessFailure } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { VaultClient } from '../vault/client.ts';
import type { Current } from './diff.ts';
import type { SetupStep } from './plan.ts';
import { judgeRead, readRequest } from './vault-admin.ts';

/** @returns undefined if the path is empty. @throws ExchangeError setup_refused or vault_* */
export async function readCurrent(
  step: Pick<SetupStep, 'kind' | 'path' | 'namespace'>,
  client: VaultClient,
  token: Secret,
): Promise<Current> {
  return unlessFailure(judgeRead(step, await client.send(readRequest(step, token)), token)).current;
}
