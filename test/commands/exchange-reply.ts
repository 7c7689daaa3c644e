// An exchange of /status that holds nothing, for tests to change.

import type { ExchangeReply } from '../../src/http/status-reply.ts';

export const EXCHANGE: ExchangeReply = {
  exchange: 'app',
  phase: 'active',
  ready: true,
  reasons: [],
  jwt: null,
  token: null,
  next_action: null,
  failure: null,
  sinks: [],
};
