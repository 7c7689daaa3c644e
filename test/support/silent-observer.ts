// An observer for tests that watch none or a few of a runner's reports.

import type { RunnerObserver } from '../../src/exchange/runner.ts';

export const SILENT_OBSERVER: RunnerObserver = {
  added() {},
  removed() {},
  left() {},
  stepped() {},
  called() {},
  hooked() {},
};
