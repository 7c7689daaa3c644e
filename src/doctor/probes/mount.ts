// Checks whether a JWT auth method answers at the mount. Vault answers 403 for an unknown path as for a forbidden one, but an
// existing mount refuses a login without a role with an error message. The request contains no secret.

import { Secret } from '../../core/secret.ts';
import type { ExchangeSettings, LoginSettings } from '../../core/settings.ts';
import { loginRequest } from '../../core/vault-protocol.ts';
import type { VaultClient } from '../../vault/client.ts';
import type { MountFacts } from '../diagnose/evidence.ts';

export async function probeMount(client: VaultClient, { login: own }: ExchangeSettings): Promise<MountFacts> {
  // A mount of any JWT auth method has the login of JWT roles, and OpenBao's has that of CEL roles too.
  const { cel: _, ...login } = own;
  if (await answers(client, login)) return { answers: true };
  const { namespace = '' } = login;
  const places = [
    ...(namespace === '' ? [] : [{ mount: login.mount, namespace: '' }]),
    ...(login.mount === 'jwt' ? [] : [{ mount: 'jwt', namespace }]),
  ];
  for (const place of places) {
    if (await answers(client, { role: '', mount: place.mount, ...(place.namespace === '' ? {} : { namespace }) }))
      return { answers: false, elsewhere: place };
  }
  return { answers: false };
}

/** The jwt plugin's errors for a login without a role, without a mount config, or without a JWT (if the mount has a default role). */
const OWN_WORDS = /"missing role"|could not load configuration|"missing token"/;

async function answers(client: VaultClient, login: LoginSettings): Promise<boolean> {
  const request = loginRequest(login, new Secret(''));
  return client.send({ ...request, body: new Secret('{}') }).then(
    ({ status, body }) => status === 400 && OWN_WORDS.test(body.reveal()),
    () => false,
  );
}
