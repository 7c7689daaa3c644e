// The sidecar's process in a simulation: the real exchanges, runners and observer, on a simulated host. Each signal to
// the daemon is a method; after a kill, only the host's files remain.

import type { ExchangeSettings } from '../../src/core/settings.ts';
import { type Exchanges, openExchanges } from '../../src/exchange/exchanges.ts';
import type { RunnerObserver } from '../../src/exchange/runner.ts';
import { type Observer, openObserver } from '../../src/observe/observe.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { SimulatedTime } from './simulated-time.ts';

export interface SidecarParts {
  readonly time: SimulatedTime;
  readonly host: SimulatedHost;
  readonly random: () => number;
  readonly onLine: (line: string) => void;
  readonly onStep: RunnerObserver['stepped'];
}

export class SimulatedSidecar {
  readonly #parts: SidecarParts;
  #running: { readonly exchanges: Exchanges; readonly observer: Observer } | undefined;
  #applying: Promise<void> | undefined;
  #next: readonly ExchangeSettings[] | undefined;

  constructor(parts: SidecarParts) {
    this.#parts = parts;
  }

  get exchanges(): Exchanges | undefined {
    return this.#running?.exchanges;
  }

  /** Whether a new config is being applied. */
  get isApplying(): boolean {
    return this.#applying !== undefined;
  }

  start(settings: readonly ExchangeSettings[]): void {
    const { time, host, random, onLine, onStep } = this.#parts;
    const told = { version: '0', nodeVersion: 'v0', nodeMetrics: false, level: 'debug', target: onLine } as const;
    const real = openObserver(told);
    const observer: Observer = {
      ...real,
      stepped(...step) {
        real.stepped(...step);
        onStep(...step);
      },
    };
    const exchanges = openExchanges(settings, { clock: time.clock(random), observer, env: {}, ports: host.ports });
    this.#running = { exchanges, observer };
    time.touch();
  }

  /** SIGKILL, or an OOM kill. */
  kill(): void {
    this.#running = undefined;
    this.#applying = undefined;
    this.#next = undefined;
    this.#parts.time.kill();
    this.#parts.host.kill();
  }

  /** SIGHUP. While a config is being applied, only the latest further one is kept. */
  reload(settings: readonly ExchangeSettings[], onFailed: (error: unknown) => void): void {
    if (this.#applying !== undefined) {
      this.#next = settings;
      return;
    }
    const { life } = this.#parts.time;
    this.#applying = this.#running?.exchanges
      .apply(settings)
      .catch(onFailed)
      .then(() => {
        if (life !== this.#parts.time.life) return;
        this.#applying = undefined;
        const next = this.#next;
        this.#next = undefined;
        if (next !== undefined) this.reload(next, onFailed);
      });
    this.#parts.time.touch();
  }

  /** SIGUSR2 */
  refresh(): void {
    for (const view of this.#running?.exchanges.views() ?? []) view.refresh();
    this.#parts.time.touch();
  }

  /** SIGTERM; resolves when the process would exit. */
  async stop(): Promise<void> {
    this.#parts.time.touch();
    await this.#running?.exchanges.stop();
    this.#running = undefined;
  }

  async metrics(): Promise<string> {
    const { exchanges, observer } = this.#running ?? {};
    const statuses = exchanges?.views().map((view) => view.status()) ?? [];
    return (await observer?.metrics.render(statuses))?.body ?? '';
  }
}
