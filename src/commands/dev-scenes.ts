// What happens in the demo, one scene after the other: a rotation, an outage of Vault, a wrong JWT, then rotations without an end.

import type { DevVault } from '../dev/vault.ts';

interface Stage {
  readonly vault: Pick<DevVault, 'setSealed'>;
  writeJwt(claims?: Readonly<Record<string, unknown>>): Promise<void>;
}

export interface Scene {
  readonly says?: string;
  act(stage: Stage): Promise<void>;
}

export function* scenes(): Generator<Scene> {
  const rotation: Scene = { act: ({ writeJwt }) => writeJwt() };
  yield rotation;
  yield {
    says: 'Vault is sealed, while the issuer writes a new JWT:',
    act: async ({ vault, writeJwt }) => {
      vault.setSealed(true);
      await writeJwt();
    },
  };
  yield {
    says: 'Vault is unsealed, and the sidecar tries again:',
    act: async ({ vault }) => vault.setSealed(false),
  };
  yield rotation;
  yield {
    says: 'The issuer writes a JWT for another audience. The sidecar keeps the token:',
    act: ({ writeJwt }) => writeJwt({ aud: 'another-service' }),
  };
  yield { ...rotation, says: 'The issuer writes the right one:' };
  for (;;) yield rotation;
}
