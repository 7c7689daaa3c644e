// An ops API of a sidecar without exchanges, for tests to change.

import type { OpsApiOptions } from '../../src/http/ops-api.ts';

export const BARE_OPS: OpsApiOptions = {
  listen: { host: '127.0.0.1', port: 0 },
  exchanges: () => [],
  recent: () => ({ lastCall: undefined, failures: [] }),
  metrics: async () => ({ contentType: 'text/plain', body: '' }),
  isStarted: () => true,
  isStepping: () => true,
  version: '',
  now: () => 0,
};
