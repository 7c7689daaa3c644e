// Decides when the readers of a sink's file learn of a new token (`on_change`): once for each token, when it is in place.

import type { Decision } from './decide.ts';
import { hookOf } from './settings.ts';
import type { Effect, HeldToken, Policy, SinkState, State } from './state.ts';

/** Adds the hooks that are due. Best effort: nothing waits for their results, and nothing retries them. */
export function withHooks(policy: Policy, decision: Decision): Decision {
  const { state, effects } = decision;
  const { token, stopping } = state;
  if (token === undefined || stopping !== undefined) return decision;
  const due = state.sinks.filter((sink) => isDue(sink, token));
  if (due.length === 0) return decision;
  const hooks = due.filter((sink) => isNews(sink, token) && hookOf(policy.settings, sink.id) !== undefined);
  return { ...decision, state: announced(state, token, due), effects: [...effects, ...hooks.map(effectOf(token))] };
}

const isDue = ({ holds, announced: known }: SinkState, { generation }: HeldToken): boolean =>
  holds?.generation === generation && known !== generation;

/** Readers have the token of an earlier process already. */
const isNews = ({ announced: known }: SinkState, { takenOver }: HeldToken): boolean =>
  takenOver !== true || known !== undefined;

const announced = (state: State, { generation }: HeldToken, due: readonly SinkState[]): State => ({
  ...state,
  sinks: state.sinks.map((sink) => (due.includes(sink) ? { ...sink, announced: generation } : sink)),
});

const effectOf =
  ({ secret }: HeldToken) =>
  ({ id }: SinkState): Effect => ({ type: 'run-hook', sink: id, token: secret });
