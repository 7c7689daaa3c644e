// Buffers the events of the exchanges until the observer is loaded. Loading logger and metrics takes longer than the first login,
// which must not wait for it.

import type { RunnerObserver } from '../exchange/runner.ts';

export interface LateObserver extends RunnerObserver {
  /** Forwards the buffered events in their order, and all later events at once. */
  forwardTo(observer: RunnerObserver): void;
}

export function openLateObserver(): LateObserver {
  let target: RunnerObserver | undefined;
  const buffered: ((observer: RunnerObserver) => void)[] = [];
  const report = (event: (observer: RunnerObserver) => void) => {
    if (target === undefined) buffered.push(event);
    else event(target);
  };
  return {
    added: (policy) => report((observer) => observer.added(policy)),
    removed: (exchange) => report((observer) => observer.removed(exchange)),
    left: (...sink) => report((observer) => observer.left(...sink)),
    stepped: (...step) => report((observer) => observer.stepped(...step)),
    called: (...call) => report((observer) => observer.called(...call)),
    hooked: (...result) => report((observer) => observer.hooked(...result)),
    forwardTo(observer) {
      target = observer;
      for (const event of buffered.splice(0)) event(observer);
    },
  };
}
