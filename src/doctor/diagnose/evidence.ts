// The evidence on one exchange. gather.ts collects it without judging it; diagnose.ts judges it.

import type { Failure } from '../../core/errors.ts';
import type { ListenerProblem } from '../../core/listener-problems.ts';
import type { ExchangeSettings, SetupSettings } from '../../core/settings.ts';
import type { Grant } from '../../core/vault-protocol.ts';
import type { WorkloadJwt } from '../../core/workload-jwt.ts';
import type { Current, Difference } from '../../setup/diff.ts';
import type { SetupStep } from '../../setup/plan.ts';

/** The result of a check or its failure. An undefined member of Evidence means that its check didn't run or didn't finish. */
export type Seen<T> =
  | { readonly seen: T; readonly failure?: undefined }
  | { readonly failure: Failure; readonly seen?: undefined };

export interface Evidence {
  readonly settings: ExchangeSettings;
  readonly setup: SetupSettings;
  /** epoch milliseconds of this machine's wall clock */
  readonly wall: number;
  /** the uid:gid that doctor runs as */
  readonly self: string;
  readonly file?: FileFacts | undefined;
  readonly jwt?: Seen<WorkloadJwt> | undefined;
  /** the JWT's claims, unverified: only for comparison and display */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  readonly issuer?: IssuerFacts | undefined;
  readonly certificate?: CertificateFacts | undefined;
  readonly health?: Seen<HealthFacts> | undefined;
  readonly mount?: MountFacts | undefined;
  readonly login?: Seen<Grant> | undefined;
  /** the address from which this machine connects to Vault; only after a forbidden login */
  readonly ownAddress?: string | undefined;
  /** whether Vault still knows the tokens that the sidecar delivered; undefined if the check was skipped */
  readonly held?: readonly HeldTokenFacts[] | undefined;
  /** whether the new token may look itself up, and renew itself */
  readonly lookup?: Seen<true> | undefined;
  readonly renewal?: Seen<true> | undefined;
  /** between the setup and Vault; undefined without an operator's token */
  readonly differences?: readonly Difference[] | undefined;
  /** the paths that the operator's token couldn't read, with Vault's error messages */
  readonly unread?: readonly string[] | undefined;
  /** undefined without an operator's token that may list it */
  readonly existing?: ExistingFacts | undefined;
  readonly sinks: readonly SinkFacts[];
  /** one message per check that threw */
  readonly broken?: readonly string[] | undefined;
  /** the names of the checks that are still running */
  readonly unfinished?: readonly string[] | undefined;
}

/** What exists in Vault. Names that are needed only for a missing object are left out if it exists. */
export interface ExistingFacts {
  readonly roles?: readonly string[] | undefined;
  readonly jwtMounts?: readonly string[] | undefined;
  readonly policies?: readonly string[] | undefined;
  /** the policies that the setup, the role or the token names, and that don't exist */
  readonly missingPolicies: readonly string[];
}

export interface HeldTokenFacts {
  /** such as "the token in /vault/token" */
  readonly name: string;
  readonly lookup: Seen<true>;
}

export interface FileFacts {
  readonly path: string;
  readonly modifiedAt: number;
  /** such as "0:0, mode 600" */
  readonly owner: string;
  /** the file is itself a mount, as with subPath, so it never changes */
  readonly isMount: boolean;
}

export type IssuerFacts =
  /** the documents weren't fetched, as the config doesn't name their host */
  | { readonly state: 'unfetched'; readonly words: string }
  | { readonly state: 'unreachable' | 'untrusted' | 'unpublished'; readonly url: string; readonly words: string }
  | { readonly state: 'renamed'; readonly url: string; readonly published: string }
  | {
      readonly state: 'key-missing';
      readonly url: string;
      readonly keyId: string;
      /** the ids of the keys at the URL */
      readonly published: readonly string[];
    }
  | { readonly state: 'forged' | 'verified'; readonly url: string; readonly keyId: string };

/** The certificate of the server at vault.address: the client refused it, or the config has http:// for a TLS server. */
export interface CertificateFacts {
  /** the subject alternative names, such as "DNS:vault.example.com" */
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
  /** another place where a JWT auth method answers */
  readonly elsewhere?: { readonly mount: string; readonly namespace: string };
}

/** The current content of a step's path in Vault; undefined if the path is empty or couldn't be read. */
export const currentOf = ({ differences = [] }: Evidence, kind: SetupStep['kind']): Current =>
  differences.find(({ step }) => step.kind === kind)?.current;

export interface SinkFacts {
  readonly id: string;
  readonly failure?: Failure;
}

export interface ListenerFacts {
  /** the key of its address in the config */
  readonly key: string;
  readonly address: string;
  /** ours: a running sidecar listens there */
  readonly state: 'free' | 'ours' | ListenerProblem;
  /** why the listener refuses every client */
  readonly failure?: Failure;
}
