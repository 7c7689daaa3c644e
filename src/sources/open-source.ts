// From settings to a source: the one place that knows every kind.

import type { SourceSettings } from '../core/settings.ts';
import { openEnvSource } from './env.ts';
import { openFileSource } from './file.ts';
import type { JwtSource } from './source.ts';

/** @param onHint called when the JWT may have changed */
export function openSource(
  settings: SourceSettings,
  env: Readonly<Record<string, string | undefined>>,
  onHint: () => void,
): JwtSource {
  switch (settings.kind) {
    case 'file':
      return openFileSource(settings.path, onHint);
    case 'env':
      return openEnvSource(settings.name, env);
  }
}
