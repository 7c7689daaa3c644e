// What the scenarios of `init` share: their flags, the config of one exchange, and publishing an issuer at oidc.pub.

import type { ConfigFile } from '../config/schema.ts';
import { defined } from '../core/defined.ts';
import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';

export interface Scenario {
  /** the flags that not all scenarios have */
  readonly flags: readonly string[];
  write(given: Given): Written;
}

export interface Written {
  readonly config: ConfigFile;
  /** the settings of the issuer and the commands that publish it, which come before the setup of Vault */
  readonly issuerText?: string | undefined;
  /** the manifest, job or unit of the workload */
  readonly workloadText?: string;
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
  if (/^https?:/i.test(issuer)) return issuer;
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(issuer))
    throw new UsageError('--issuer must be a name such as k8s-prod, or a URL');
  return `https://${issuer}.oidc.pub`;
}

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

/** Returns the commands that fetch what oidc.pub serves. */
export const verification = (published: string): string =>
  `curl -sf ${quoted(`${published}/.well-known/openid-configuration`)}

curl -sf ${quoted(`${published}/.well-known/jwks.json`)}`;
