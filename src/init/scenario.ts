// Shared by the scenarios: their flags, the config of one exchange, values in YAML, and checking an issuer at oidc.pub.

import type { ConfigFile } from '../config/schema.ts';
import { defined } from '../core/defined.ts';
import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';

/** The image's name without its tag. The registry is a stand-in, which a release replaces by its own. */
export const IMAGE = 'registry.example.com/vault-token-sidecar';

export interface Scenario {
  write(given: Given): Written;
}

export interface Written {
  readonly config: ConfigFile;
  /** the settings of the issuer and the commands that publish it, which come before the setup of Vault */
  readonly issuerText?: string | undefined;
  /** the manifest, job or unit of the workload */
  readonly workloadText?: string;
  /** what to do after "setup --apply"; by default, run doctor and the daemon */
  readonly next?: readonly string[];
}

export interface Given {
  /** the path of the config */
  readonly file: string;
  /** of the sidecar, for the image's tag */
  readonly version: string;
  /** @throws UsageError if the flag is missing */
  required(flag: string): string;
  optional(flag: string, fallback: string): string;
}

/** Returns the issuer's URL. A bare name stands for an issuer at oidc.pub. @throws UsageError */
export function issuerUrl(given: Given, fallback?: string): string {
  const issuer = fallback === undefined ? given.required('issuer') : given.optional('issuer', fallback);
  if (URL.canParse(issuer) && PLAIN_URL.test(issuer)) return issuer;
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(issuer))
    throw new UsageError('--issuer must be a name such as k8s-prod, or a URL');
  return `https://${issuer}.oidc.pub`;
}

/** A URL without credentials, query or fragment, and without characters that a shell, YAML or Ruby would interpret. */
const PLAIN_URL = /^https?:\/\/[\w.:[\]-]+(?:\/[\w.~:@%+/-]*)?$/i;

/** Returns the value of a flag for a CI job. @throws UsageError if the CI system would expand it */
export function literal(flag: string, value: string): string {
  if (value.includes('$')) throw new UsageError(`--${flag} must not contain "$", which CI systems expand`);
  return value;
}

/** Returns the path of the config for a CI job, which reads it from a checkout. @throws UsageError */
export function committed({ file }: Given): string {
  if (file.startsWith('/') || file.split('/').includes('..'))
    throw new UsageError(
      '--config must be a path in the repository, without "..": the job reads the config that you commit',
    );
  return literal('config', file);
}

/** Returns the next steps of a CI job: doctor and the daemon don't get its JWT. */
export const jobSteps = ({ file }: Given): readonly string[] => [`commit ${quoted(file)}, and run the job`];

/** Returns a text as a YAML scalar, quoted unless it is a string in every place. */
export const yamlText = (text: string): string =>
  PLAIN_YAML.test(text) && !NO_STRING.test(text) ? text : JSON.stringify(text);

const PLAIN_YAML = /^[a-z](?:[\w./@+=-]|[ :](?=[\w./@+=-]))*$/i;
/** Words that YAML 1.1 reads as booleans or null. */
const NO_STRING = /^(?:y|yes|n|no|on|off|true|false|null)$/i;

type ExchangeFile = ConfigFile['exchanges'][string];

interface Wish extends Required<Pick<ExchangeFile, 'source' | 'sinks' | 'expect'>> {
  readonly name: string;
  readonly defaults: {
    /** one mount trusts one issuer: each scenario has its own */
    readonly mount: string;
    readonly role: string;
    readonly policy: string;
    /** the secret that the policy reads, in the KV version 2 engine at secret/ */
    readonly secret: string;
    /** of the Vault token: not longer than the JWT lives */
    readonly ttl: string;
  };
  readonly trust?: NonNullable<ExchangeFile['setup']>['trust'];
}

export function configOf(given: Given, { name, source, sinks, expect, defaults, trust }: Wish): ConfigFile {
  const login = { mount: given.optional('mount', defaults.mount), role: given.optional('role', defaults.role) };
  const policy = given.optional('policy', '');
  // A policy that --policy names exists already: setup must not overwrite it.
  const policies = policy === '' ? { [defaults.policy]: policyText(defaults.secret) } : undefined;
  const role = { token_policies: [policy || defaults.policy], token_ttl: defaults.ttl };
  const setup = { ...defined({ trust }), role, ...defined({ policies }) };
  return {
    vault: { address: given.required('vault-address') },
    exchanges: { [name]: { source, login, expect, sinks, setup } },
  };
}

const policyText = (secret: string): string => `# edit this: what the tokens may do
path "secret/data/${secret}" {
  capabilities = ["read"]
}
`;

/** Returns the commands that fetch the documents that oidc.pub serves. */
export const verification = (published: string): string =>
  `curl -sf ${quoted(`${published}/.well-known/openid-configuration`)}

curl -sf ${quoted(`${published}/.well-known/jwks.json`)}`;
