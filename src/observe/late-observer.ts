// Stands in for the observer until it is there: the first login doesn't wait for logger and metrics to be loaded, which
// takes longer than the login. What is told meanwhile is kept, and told in the same order.

import type { RunnerObserver } from '../exchange/runner.ts';

export interface LateObserver extends RunnerObserver {
  /** Tells what was kept, and from now on everything at once. */
  tellTo(observer: RunnerObserver): void;
}

export function openLateObserver(): LateObserver {
  let target: RunnerObserver | undefined;
  const kept: ((observer: RunnerObserver) => void)[] = [];
  const tell = (news: (observer: RunnerObserver) => void) => {
    if (target === undefined) kept.push(news);
    else news(target);
  };
  return {
    added: (policy) => tell((observer) => observer.added(policy)),
    removed: (exchange) => tell((observer) => observer.removed(exchange)),
    left: (...sink) => tell((observer) => observer.left(...sink)),
    stepped: (...step) => tell((observer) => observer.stepped(...step)),
    called: (...call) => tell((observer) => observer.called(...call)),
    tellTo(observer) {
      target = observer;
      for (const news of kept.splice(0)) news(observer);
    },
  };
}
