// A world with an observer: gives tests in virtual time the log lines and metrics that an operator sees.

import type { ExchangeEvent } from '../../src/core/state.ts';
import { type Observer, openObserver } from '../../src/observe/observe.ts';
import { assertDocumented } from './documented-lines.ts';
import { World, type WorldOptions } from './world.ts';

export type Line = Readonly<Record<string, unknown>>;

export interface ObservedWorld {
  readonly world: World;
  readonly observer: Observer;
  readonly lines: readonly Line[];
  /** the lines of one event */
  told(event: string): readonly Line[];
  /** the value of a metric by its name and labels, without the prefix; undefined if absent */
  metric(name: string): Promise<number | undefined>;
}

export function observedWorld(options: Omit<WorldOptions, 'check'> = {}): ObservedWorld {
  const lines: Line[] = [];
  const target = (text: string) => {
    const line = JSON.parse(text);
    assertDocumented(line);
    lines.push(line);
  };
  const observer = openObserver({ version: '1.2.3', nodeVersion: 'v26', nodeMetrics: false, level: 'debug', target });
  const world: World = new World({
    ...options,
    check: (self, before, event) => observer.stepped(self.policy, before, self.state, traced(event), self.moment()),
  });
  observer.added(world.policy);
  return {
    world,
    observer,
    lines,
    told: (event) => lines.filter((line) => line['event'] === event),
    async metric(name) {
      const { body } = await observer.metrics.render([world.status()]);
      const line = body.split('\n').find((one) => one.startsWith(`vault_token_sidecar_${name} `));
      return line === undefined ? undefined : Number(line.split(' ').at(-1));
    },
  };
}

const CALLS: ReadonlySet<ExchangeEvent['type']> = new Set([
  'logged-in',
  'login-failed',
  'renewed',
  'renewal-failed',
  'looked-up',
  'lookup-failed',
  'revoked',
  'revocation-failed',
]);

/** Adds the ids of the call, as the runner does. Vault's replies with an error have no id. */
function traced(event: ExchangeEvent): ExchangeEvent {
  if (!CALLS.has(event.type) || !('attempt' in event)) return event;
  const requestId = 'failure' in event || event.type === 'revoked' ? undefined : `request-${event.attempt}`;
  return { ...event, trace: { correlationId: `80000000-${event.attempt}`, requestId } } as ExchangeEvent;
}
