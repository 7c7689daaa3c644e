// Whether a JWT auth method answers at the mount. Vault says 403 to a path that it doesn't know as to a forbidden one; but a
// login without a role is refused in words by a mount that is there. Nothing secret is sent.

import { Secret } from '../../core/secret.ts';
import type { ExchangeSettings, LoginSettings } from '../../core/settings.ts';
import { loginRequest } from '../../core/vault-protocol.ts';
import type { VaultClient } from '../../vault/client.ts';
import type { MountFacts } from '../diagnose/evidence.ts';

export async function probeMount(client: VaultClient, { login }: ExchangeSettings): Promise<MountFacts> {
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

/** of the jwt plugin, where a login has no role, no config to go by, or a default role and no JWT */
const OWN_WORDS = /"missing role"|could not load configuration|"missing token"/;

async function answers(client: VaultClient, login: LoginSettings): Promise<boolean> {
  const request = loginRequest(login, new Secret(''));
  return client.send({ ...request, body: new Secret('{}') }).then(
    ({ status, body }) => status === 400 && OWN_WORDS.test(body.reveal()),
    () => false,
  );
}
