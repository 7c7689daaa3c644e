// The machine of a simulated sidecar: files that outlive the process, a watcher, sinks, and the network to the Vaults.
// It implements the sidecar's ports; a simulation adds troubles to paths and Vaults.

import { type ErrorCode, ExchangeError } from '../../src/core/errors.ts';
import { Secret } from '../../src/core/secret.ts';
import type { SinkSettings, SourceSettings, VaultSettings } from '../../src/core/settings.ts';
import type { VaultReply, VaultRequest } from '../../src/core/vault-protocol.ts';
import type { Ports } from '../../src/exchange/ports.ts';
import { networkFailure } from '../../src/network/failure.ts';
import { parseToken, renderToken } from '../../src/sinks/format.ts';
import type { TokenSink } from '../../src/sinks/sink.ts';
import { openSource, type SourceTools } from '../../src/sources/open-source.ts';
import type { JwtSource } from '../../src/sources/source.ts';
import { openReadings } from '../../src/sources/torn-read.ts';
import type { VaultClient } from '../../src/vault/client.ts';
import type { SimulatedTime } from './simulated-time.ts';
import { type Operation, operationOf, rawReply, type SimulatedVault, type Trouble } from './simulated-vault.ts';

/** A fault of a path. */
export interface PathTrouble {
  readonly code?: ErrorCode;
  readonly latencyMs?: number;
  /** operations block until the trouble ends */
  readonly isHung?: boolean;
}

export interface CallRecord {
  /** the serial number of the client */
  readonly client: number;
  readonly settings: VaultSettings;
  readonly operation: Operation;
  readonly request: VaultRequest;
  readonly vault: SimulatedVault;
  readonly at: number;
  settledAt?: number;
  /** undefined until a reply arrives, or forever if the request or the reply was lost */
  reply?: VaultReply;
}

/** Is notified of everything that the process does to its environment. */
export interface HostObserver {
  read(path: string): void;
  wrote(path: string, content: string): void;
  removed(path: string): void;
  sent(call: CallRecord): void;
  settled(call: CallRecord): void;
}

/** How many results of one sink may be lost: each stands for a file system call that blocks a thread forever. */
const MOST_LOST_OF_A_SINK = 2;

/** The deadline of the reader of small files. */
const READ_DEADLINE_MS = 5000;

export class SimulatedHost {
  /** the share of results that never reach the process, though the action took place */
  lostShare = 0;
  readonly #lostOf = new Map<string, number>();
  readonly files = new Map<string, string>();
  readonly troubles = new Map<string, PathTrouble>();
  /** false: the watcher is dead, and reports it */
  isWatching = true;
  /** sources, clients and watches that the process has open */
  opened = 0;
  readonly #watches = new Set<{ readonly path: string; readonly onHint: () => void }>();
  readonly #waiting = new Map<string, (() => void)[]>();
  readonly #written = new Map<string, { readonly inode: number; readonly at: number }>();
  #inodes = 0;
  readonly #time: SimulatedTime;
  readonly #vaults: readonly SimulatedVault[];
  readonly #random: () => number;
  readonly #observer: HostObserver;
  #clients = 0;

  constructor(time: SimulatedTime, vaults: readonly SimulatedVault[], random: () => number, observer: HostObserver) {
    this.#time = time;
    this.#vaults = vaults;
    this.#random = random;
    this.#observer = observer;
  }

  get ports(): Ports {
    return {
      openSource: (settings, tools) => this.#openSource(settings, tools),
      openSink: (settings) => this.#openSink(settings),
      runHook: async () => ({ failure: undefined, output: '' }),
      openVault: (settings) => this.#openVault(settings),
      watchDirectoryOf: (path, onHint) => this.#openWatch(path, onHint),
    };
  }

  /** Replaces a file, or overwrites it in place. */
  put(path: string, text: string, how: 'whole' | 'in place' = 'whole'): void {
    const written = this.#written.get(path);
    const inode = written === undefined || how === 'whole' || !this.files.has(path) ? ++this.#inodes : written.inode;
    this.files.set(path, text);
    this.#written.set(path, { inode, at: this.#time.now });
  }

  /** Raises a file event, unless the watcher is dead. */
  hint(path: string, delayMs = 0): void {
    if (!this.isWatching) return;
    for (const watch of this.#watches) if (watch.path === path) this.#time.forProcess(delayMs, watch.onHint);
  }

  /** Ends a trouble, and unblocks the operations that waited for it. */
  mend(path: string): void {
    this.troubles.delete(path);
    const { life } = this.#time;
    const waiting = this.#waiting.get(path) ?? [];
    this.#waiting.delete(path);
    this.#time.forProcess(1, () => {
      if (life === this.#time.life) for (const goOn of waiting) goOn();
      this.#time.touch();
    });
  }

  /** Resolves at once, or never if the result is lost. */
  #onWayBack(sink?: string): Promise<void> {
    const known = this.#lostOf.get(sink ?? '') ?? 0;
    if (this.#random() >= this.lostShare || (sink !== undefined && known >= MOST_LOST_OF_A_SINK))
      return Promise.resolve();
    if (sink !== undefined) this.#lostOf.set(sink, known + 1);
    return new Promise(() => {});
  }

  /** Kills the process; its files stay. */
  kill(): void {
    this.#lostOf.clear();
    this.#watches.clear();
    this.#waiting.clear();
    this.opened = 0;
  }

  #openWatch(path: string, onHint: () => void) {
    const watch = { path, onHint };
    this.#watches.add(watch);
    this.opened += 1;
    return {
      isAlive: () => this.isWatching,
      repair: () => Promise.resolve(),
      close: async () => {
        if (this.#watches.delete(watch)) this.opened -= 1;
      },
    };
  }

  #openSource(settings: SourceSettings, tools: SourceTools): JwtSource {
    if (settings.kind !== 'file') return openSource(settings, tools);
    const { path } = settings;
    const watch = this.#openWatch(path, tools.onHint);
    const readings = openReadings();
    return {
      get watched() {
        return watch.isAlive();
      },
      get mayBeTorn() {
        return readings.mayBeTorn;
      },
      read: async () => {
        this.#observer.read(path);
        const see = readings.begin();
        await Promise.race([this.#troubled(path), this.#givingUp(path)]);
        const text = this.files.get(path)?.trim();
        const written = this.#written.get(path);
        if (text === undefined || written === undefined) throw new ExchangeError('jwt_missing', { kind: 'file', path });
        if (text === '') throw new ExchangeError('jwt_empty', { kind: 'file', path });
        see({ inode: written.inode, ageMs: this.#time.now - written.at });
        await this.#onWayBack();
        return new Secret(text);
      },
      close: watch.close,
    };
  }

  #openSink(settings: SinkSettings): TokenSink {
    const { path, format } = settings;
    return {
      id: path,
      deliver: async (token, isCurrent = () => true) => {
        const content = renderToken(format, token);
        await this.#troubled(path);
        const written = this.files.get(path) !== content && isCurrent();
        if (written) {
          this.put(path, content);
          this.#observer.wrote(path, content);
        }
        await this.#onWayBack(path);
        return { written };
      },
      read: async () => {
        await this.#troubled(path);
        const text = this.files.get(path);
        return text === undefined ? undefined : parseToken(format, text);
      },
      age: async () =>
        this.#time.now - (this.files.has(path) ? (this.#written.get(path)?.at ?? 0) : Number.NEGATIVE_INFINITY),
      check: () => this.#troubled(path),
      remove: async () => {
        await this.#troubled(path);
        this.files.delete(path);
        this.#observer.removed(path);
        await this.#onWayBack(path);
      },
    };
  }

  /** Applies the path's trouble: waits for its latency or its end, and fails with its code. */
  async #troubled(path: string): Promise<void> {
    this.#time.touch();
    const trouble = this.troubles.get(path);
    if (trouble?.isHung) {
      await new Promise<void>((goOn) => {
        this.#waiting.set(path, [...(this.#waiting.get(path) ?? []), goOn]);
      });
    } else if (trouble?.latencyMs !== undefined) await this.#time.pause(trouble.latencyMs);
    if (trouble?.code !== undefined) throw new ExchangeError(trouble.code, { kind: 'file', path });
  }

  /** Rejects at the deadline of a hung read. */
  async #givingUp(path: string): Promise<void> {
    if (!this.troubles.get(path)?.isHung) return new Promise(() => {});
    await this.#time.pause(READ_DEADLINE_MS);
    throw new ExchangeError('jwt_read_stuck', { kind: 'file', path });
  }

  #openVault(settings: VaultSettings): VaultClient {
    const vault = this.#vaults.find(({ address }) => address === settings.address);
    if (vault === undefined) throw new Error(`no Vault at ${settings.address}`);
    const client = ++this.#clients;
    const open = new Set<(error: unknown) => void>();
    let isOpen = true;
    this.opened += 1;
    return {
      send: (request) => {
        const call: CallRecord = {
          ...{ client, settings, vault, request },
          operation: operationOf(request),
          at: this.#time.now,
        };
        this.#observer.sent(call);
        return new Promise<VaultReply>((resolve, reject) => {
          const settle = () => {
            open.delete(fail);
            call.settledAt = this.#time.now;
            this.#observer.settled(call);
            this.#time.touch();
          };
          const loseResult = () => {
            open.delete(fail);
            this.#observer.settled(call);
          };
          const fail = (error: unknown) => {
            settle();
            reject(error);
          };
          open.add(fail);
          this.#carry(call, { isWaiting: () => open.has(fail), fail }, (reply) => {
            if (operationOf(request) !== 'revoke' && this.#random() < this.lostShare) return loseResult();
            call.reply = reply;
            settle();
            resolve(reply);
          });
        });
      },
      close: async () => {
        if (isOpen) this.opened -= 1;
        isOpen = false;
        for (const fail of [...open]) fail(networkFailure({ code: 'UND_ERR_DESTROYED' }));
      },
    };
  }

  /** Carries a call to Vault and back, with half of the latency each way. */
  #carry(
    call: CallRecord,
    { isWaiting, fail }: { isWaiting: () => boolean; fail: (error: unknown) => void },
    succeed: (reply: VaultReply) => void,
  ): void {
    const { vault, settings, operation, request } = call;
    const time = this.#time;
    const { life } = time;
    const trouble = this.#troubleOf(vault, operation);
    const whileWaiting = (action: () => void) => () => {
      if (isWaiting()) action();
    };
    const timeoutMs = request.timeoutMs ?? settings.timeoutMs;
    const timeout = new ExchangeError('vault_timeout', { kind: 'timeout', limitMs: timeoutMs });
    time.forProcess(
      timeoutMs,
      whileWaiting(() => fail(timeout)),
    );
    if (trouble?.network === 'silent') return;
    const latencyMs = trouble?.latencyMs ?? 1 + this.#random() * 40;
    if (trouble?.network !== undefined) {
      const failure = networkFailure({ code: trouble.network });
      time.forProcess(
        latencyMs,
        whileWaiting(() => fail(failure)),
      );
      return;
    }
    time.at(time.now + latencyMs / 2, () => {
      const reply = vault.answer(request, trouble);
      if (trouble?.isDeaf || life !== time.life) return;
      time.forProcess(
        latencyMs / 2,
        whileWaiting(() => succeed(rawReply(reply, latencyMs))),
      );
    });
  }

  #troubleOf({ troubles }: SimulatedVault, operation: Operation): Trouble | undefined {
    return troubles.findLast(
      ({ operations, share }) =>
        (operations?.includes(operation) ?? true) && (share === undefined || this.#random() < share),
    );
  }
}
