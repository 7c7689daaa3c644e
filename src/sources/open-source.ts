// Opens a source from its settings: the one place that knows all kinds of sources.

import type { SourceSettings, VaultSettings } from '../core/settings.ts';
import { openEnvSource } from './env.ts';
import { openFileSource } from './file.ts';
import { openHttpSource } from './http.ts';
import type { JwtSource } from './source.ts';
import { type IdentityTools, type IdentityVault, openVaultIdentitySource } from './vault-identity.ts';

export interface SourceTools extends Pick<IdentityTools, 'tokenOf'> {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly openVault: (settings: VaultSettings) => IdentityVault;
  /** called when the JWT may have changed */
  readonly onHint: () => void;
}

export function openSource(settings: SourceSettings, { env, openVault, onHint, tokenOf }: SourceTools): JwtSource {
  switch (settings.kind) {
    case 'file':
      return openFileSource(settings.path, onHint);
    case 'env':
      return openEnvSource(settings.name, env);
    case 'http':
      return openHttpSource(settings, env);
    case 'vault-identity':
      return openVaultIdentitySource(settings, { vault: openVault(settings.vault), tokenOf });
  }
}
