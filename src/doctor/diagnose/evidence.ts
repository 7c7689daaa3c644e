// What doctor found out about one exchange. Whoever gathers it stops at no failure and judges nothing; diagnosis.ts does.

import type { Failure } from '../../core/errors.ts';
import type { ExchangeSettings, SetupSettings } from '../../core/settings.ts';
import type { Grant } from '../../core/vault-protocol.ts';
import type { WorkloadJwt } from '../../core/workload-jwt.ts';
import type { Current, Difference } from '../../setup/diff.ts';
import type { SetupStep } from '../../setup/plan.ts';

/** What was looked at and came out well or badly; undefined members of Evidence weren't looked at, or not in time. */
export type Seen<T> =
  | { readonly seen: T; readonly failure?: undefined }
  | { readonly failure: Failure; readonly seen?: undefined };

export interface Evidence {
  readonly settings: ExchangeSettings;
  readonly setup: SetupSettings;
  /** epoch milliseconds of this machine's wall clock */
  readonly wall: number;
  /** who we are, as uid:gid */
  readonly self: string;
  readonly file?: FileFacts | undefined;
  readonly jwt?: Seen<WorkloadJwt> | undefined;
  /** of the JWT, unverified: only for comparing and showing */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  readonly issuer?: IssuerFacts | undefined;
  readonly certificate?: CertificateFacts | undefined;
  readonly health?: Seen<HealthFacts> | undefined;
  readonly mount?: MountFacts | undefined;
  readonly login?: Seen<Grant> | undefined;
  /** whether Vault still knows the token that a sink holds; undefined where none does, or it isn't asked */
  readonly held?: HeldTokenFacts | undefined;
  /** what the token may not do for itself */
  readonly lookup?: Seen<true> | undefined;
  readonly renewal?: Seen<true> | undefined;
  /** by an operator's token, where one is at hand */
  readonly differences?: readonly Difference[] | undefined;
  /** what that token couldn't read, and what Vault said to it */
  readonly unread?: readonly string[] | undefined;
  readonly sinks: readonly SinkFacts[];
  /** the checks that threw, each in words */
  readonly broken?: readonly string[] | undefined;
  /** the checks that still go on */
  readonly unfinished?: readonly string[] | undefined;
}

export interface HeldTokenFacts {
  /** the path of the sink */
  readonly sink: string;
  readonly lookup: Seen<true>;
}

export interface FileFacts {
  readonly path: string;
  readonly modifiedAt: number;
  /** such as "0:0, mode 600" */
  readonly owner: string;
  /** the file itself is a mount, as subPath makes it: it never changes */
  readonly isMount: boolean;
}

export type IssuerFacts =
  /** its documents are elsewhere, or nowhere that the config names; nothing is fetched from there */
  | { readonly state: 'unfetched'; readonly words: string }
  | { readonly state: 'unreachable' | 'unpublished'; readonly url: string; readonly words: string }
  | { readonly state: 'renamed'; readonly url: string; readonly published: string }
  | { readonly state: 'key-missing' | 'forged' | 'verified'; readonly url: string; readonly keyId: string };

export interface CertificateFacts {
  /** what it is made out to, such as "DNS:vault.example.com" */
  readonly names: string;
  readonly issuer: string;
}

export interface HealthFacts {
  readonly version: string;
  readonly standby: boolean;
  /** this machine's clock minus Vault's, in milliseconds */
  readonly skewMs: number;
}

export interface MountFacts {
  readonly answers: boolean;
  /** where a mount of that name answers instead */
  readonly elsewhere?: { readonly mount: string; readonly namespace: string };
}

/** What an operator's token read at the place of a step; undefined where there is nothing, or it wasn't read. */
export const currentOf = ({ differences = [] }: Evidence, kind: SetupStep['kind']): Current =>
  differences.find(({ step }) => step.kind === kind)?.current;

export interface SinkFacts {
  readonly id: string;
  readonly failure?: Failure;
}

export interface ListenerFacts {
  readonly key: 'api.listen' | 'ops.listen';
  readonly address: string;
  /** ours: a running sidecar answers there */
  readonly state: 'free' | 'ours' | 'taken' | 'unusable';
  /** why the listener would refuse every client */
  readonly failure?: Failure;
}
