// The facts of a failure, as data, and their rendering as one line of evidence.
// Facts must not contain secrets. The output filters remove control characters.

import { CERTIFICATE_PROBLEMS } from './certificate-problems.ts';
import { type HookFacts, hookText } from './facts-hook.ts';
import { LISTENER_PROBLEMS, type ListenerProblem } from './listener-problems.ts';
import { printable } from './secret.ts';

export type Facts =
  | ReplyFacts
  | HookFacts
  | { readonly kind: 'reply-unusable'; readonly problem: keyof typeof REPLY_PROBLEMS; readonly path?: string }
  /** a reply to `path` that isn't Vault's; the two are its headers */
  | {
      readonly kind: 'foreign-reply';
      readonly path: string;
      readonly status: number;
      readonly contentType: string;
      readonly server: string;
    }
  | { readonly kind: 'redirect'; readonly problem: keyof typeof REDIRECT_PROBLEMS; readonly detail?: string }
  /** `codes` are error codes of Node and undici, such as ECONNREFUSED */
  | {
      readonly kind: 'network';
      readonly codes: readonly string[];
      readonly syscall?: string;
      /** host, or address and port */
      readonly peer?: string;
    }
  | { readonly kind: 'redirect-status'; readonly status: number }
  /** `from` and `to` are protocols, such as https: */
  | { readonly kind: 'redirect-scheme'; readonly from: string; readonly to: string }
  | { readonly kind: 'proxy-reply'; readonly status: number }
  | { readonly kind: 'certificate'; readonly code: keyof typeof CERTIFICATE_PROBLEMS }
  | { readonly kind: 'timeout'; readonly limitMs: number }
  | { readonly kind: 'lease-over' }
  | { readonly kind: 'issuer-usable' }
  /** `errno` is the system's error code, such as EACCES */
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly problem?: keyof typeof FILE_PROBLEMS;
      readonly errno?: string;
    }
  | { readonly kind: 'file-system'; readonly path: string; readonly type: string; readonly errno: string }
  | { readonly kind: 'tls-files'; readonly paths: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly problem: keyof typeof VARIABLE_PROBLEMS }
  | { readonly kind: 'exchange-without-token'; readonly exchange: string }
  | {
      readonly kind: 'ownership';
      readonly path: string;
      readonly problem: 'symlink' | 'writable-by-all' | 'writable-by-group';
    }
  | {
      readonly kind: 'ownership';
      readonly path: string;
      readonly problem: 'owner' | 'symlink-owner';
      readonly uid: number;
    }
  | {
      readonly kind: 'mode';
      readonly mode: number;
      readonly uid: number | undefined;
      readonly gid: number | undefined;
      readonly errno: string | undefined;
    }
  | { readonly kind: 'obstacle'; readonly name: string; readonly type: 'directory' | 'special file' }
  | { readonly kind: 'cut-short' }
  | { readonly kind: 'token-text'; readonly problem: 'not-a-word' | 'not-for-a-shell' }
  | {
      readonly kind: 'claim';
      /** issuer: of a discovery document */
      readonly claim: 'iss' | 'aud' | 'sub' | 'issuer';
      readonly expected: string;
      readonly actual: string | undefined;
    }
  /** `parts` is the number of parts between dots */
  | { readonly kind: 'jwt-shape'; readonly parts: number }
  | { readonly kind: 'jwt-text'; readonly problem: keyof typeof JWT_TEXT_PROBLEMS }
  | { readonly kind: 'jwt-content' }
  | {
      readonly kind: 'listener';
      readonly address: string;
      readonly problem?: ListenerProblem;
      readonly errno?: string;
    }
  | { readonly kind: 'no-sidecar'; readonly url: string; readonly errno?: string }
  | { readonly kind: 'other-server' }
  /** an unexpected exception, scrubbed and shortened */
  | { readonly kind: 'thrown'; readonly text: string };

/** Vault's reply */
interface ReplyFacts {
  readonly kind: 'reply';
  readonly status: number;
  /** Vault's error messages */
  readonly words: string;
  /** set if several paths are requested */
  readonly path?: string;
  readonly namespace?: string;
  /** the capabilities on the path that the request needs */
  readonly capabilities?: readonly string[];
  /** the result of the request that Vault failed to make, made from this machine */
  readonly fromHere?: Facts;
}

const REPLY_PROBLEMS = {
  'too-large': 'the reply exceeds the size limit',
  'no-auth': 'status 200 without an "auth" object',
  'no-token': 'no usable client_token',
  'no-lease': 'no usable lease_duration',
  'no-data': 'status 200 without a "data" object',
  empty: 'the reply is empty',
  'no-member': 'no text at json_pointer in the reply',
} as const;

const REDIRECT_PROBLEMS = {
  twice: 'redirected twice',
  'no-location': 'without a usable Location',
  'other-host': 'to host ',
} as const;

const JWT_TEXT_PROBLEMS = {
  bearer: 'it begins with "Bearer"',
  json: 'it is in a JSON document',
  quotes: 'it is in quotes',
  'other-text': 'there is other text before or after it',
  whitespace: 'there is whitespace in it',
  'vault-token': 'it is a Vault token',
} as const;

const FILE_PROBLEMS = {
  missing: 'missing',
  unreadable: 'unreadable',
  'not-a-file': 'not a regular file',
  'too-large': 'too large',
  stuck: "the file system doesn't answer",
  empty: 'empty',
  'no-token': 'holds no Vault token',
  'no-certificate': 'holds no PEM certificate',
  'no-private-key': 'holds no PEM private key',
  unprintable: 'contains unprintable characters',
  'not-ascii': 'contains characters other than ASCII',
} as const;

const VARIABLE_PROBLEMS = {
  unset: 'not set',
  empty: 'empty',
  unprintable: 'not printable',
  'not-ascii': 'not ASCII',
  'not-a-url': 'not a URL',
  credentials: 'a URL with credentials',
  'not-https': 'not an https URL',
} as const;

/** Returns the evidence as one line, without title and hint. */
export function evidenceText(facts: Facts): string {
  switch (facts.kind) {
    case 'reply':
      return replyText(facts);
    case 'reply-unusable':
      return `${facts.path === undefined ? '' : `${facts.path}: `}${REPLY_PROBLEMS[facts.problem]}`;
    case 'foreign-reply': {
      const { path, status, contentType, server } = facts;
      const from = server === '' ? '' : `from ${printable(server)}`;
      return [`GET ${path}: status ${status}`, printable(contentType), from].filter(Boolean).join(', ');
    }
    case 'redirect':
      return `${REDIRECT_PROBLEMS[facts.problem]}${facts.detail ?? ''}`;
    case 'redirect-status':
      return `status ${facts.status} would drop the request's body`;
    case 'redirect-scheme':
      return `from ${facts.from}// to ${facts.to}//`;
    case 'network': {
      const words = [facts.syscall, facts.codes.join(', '), facts.peer].filter(Boolean);
      return words.join(' ') || 'unknown network error';
    }
    case 'proxy-reply':
      return `the proxy replied with status ${facts.status}`;
    case 'certificate':
      return `the certificate is ${CERTIFICATE_PROBLEMS[facts.code]} (${facts.code})`;
    case 'timeout':
      return `no reply within ${facts.limitMs / 1000} s`;
    case 'lease-over':
      return 'the lease had expired when the reply arrived';
    case 'issuer-usable':
      return "the issuer's document is as expected";
    case 'cut-short':
      return 'the file was written only in part';
    case 'token-text':
      return facts.problem === 'not-a-word'
        ? 'the token contains whitespace or unprintable characters, or its length is implausible'
        : 'the token contains characters that a shell would interpret';
    case 'claim':
      return claimText(facts);
    case 'jwt-shape':
      if (facts.parts === 3) return 'a part is empty or not base64url';
      return `it has ${facts.parts} part${facts.parts === 1 ? '' : 's'} instead of 3`;
    case 'jwt-text':
      return JWT_TEXT_PROBLEMS[facts.problem];
    case 'jwt-content':
      return "its header or payload isn't a JSON object";
    case 'no-sidecar':
      return `no sidecar answers at ${facts.url}${facts.errno === undefined ? '' : ` (${facts.errno})`}`;
    case 'other-server':
      return 'the server that answered is not the sidecar';
    case 'thrown':
      return facts.text;
    case 'hook-exit':
    case 'hook-signal':
    case 'hook-timeout':
    case 'pid-file':
    case 'process':
      return hookText(facts);
    default:
      return localText(facts);
  }
}

function replyText({ path, namespace, status, words, fromHere }: ReplyFacts): string {
  const place = path === undefined ? '' : `${path}${namespace === undefined ? '' : ` in namespace ${namespace}`}: `;
  const here = fromHere === undefined ? '' : `; from this machine: ${evidenceText(fromHere)}`;
  return `${place}status ${status}${words === '' ? '' : `, ${words}`}${here}`;
}

type LocalFacts = Extract<
  Facts,
  {
    kind:
      | 'file'
      | 'file-system'
      | 'tls-files'
      | 'variable'
      | 'exchange-without-token'
      | 'ownership'
      | 'mode'
      | 'obstacle'
      | 'listener';
  }
>;

/** Renders facts about this machine. */
function localText(facts: LocalFacts): string {
  switch (facts.kind) {
    case 'file': {
      const why = facts.errno ?? (facts.problem && FILE_PROBLEMS[facts.problem]);
      return why === undefined ? facts.path : `${facts.path}: ${why}`;
    }
    case 'file-system':
      return `${facts.path} is in a ${facts.type} file system (${facts.errno})`;
    case 'tls-files':
      return `${facts.paths.join(', ')}: unusable PEM, or the certificate doesn't match the key`;
    case 'variable':
      return `environment variable ${facts.name} is ${VARIABLE_PROBLEMS[facts.problem]}`;
    case 'exchange-without-token':
      return `exchange ${facts.exchange} holds no valid Vault token`;
    case 'ownership':
      return `${facts.path} ${ownershipText(facts)}`;
    case 'mode':
      return `mode ${facts.mode.toString(8)}, owner ${facts.uid ?? '-'}:${facts.gid ?? '-'}: ${facts.errno}`;
    case 'obstacle':
      return `${facts.name} is a ${facts.type}`;
    case 'listener':
      return [facts.address, facts.problem && LISTENER_PROBLEMS[facts.problem].words, facts.errno]
        .filter(Boolean)
        .join(', ');
  }
}

function ownershipText(facts: Extract<Facts, { kind: 'ownership' }>): string {
  switch (facts.problem) {
    case 'owner':
      return `is owned by user ${facts.uid}`;
    case 'symlink-owner':
      return `is a symlink owned by user ${facts.uid}`;
    case 'symlink':
      return 'is a symlink';
    case 'writable-by-all':
      return 'is world-writable';
    case 'writable-by-group':
      return 'is group-writable';
  }
}

function claimText({ claim, expected, actual }: Extract<Facts, { kind: 'claim' }>): string {
  const shown = actual === undefined || actual === '' ? 'none' : JSON.stringify(printable(actual));
  return `${claim} is ${shown}, expected ${JSON.stringify(printable(expected))}`;
}
