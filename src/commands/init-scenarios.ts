// The scenarios of `init`. Each one writes a config, and prints the manifest, job or commands of the platform.

import type { ConfigFile } from '../config/schema.ts';
import { defined } from '../core/defined.ts';
import { UsageError } from '../host/io.ts';
import { isAtOidcPub } from '../setup/trust.ts';
import { gitlabJob, identityPath, issuingVault, podManifest } from './init-texts.ts';

export interface Scenario {
  /** the flags of this scenario only */
  readonly flags: readonly string[];
  write(given: Given): { readonly config: ConfigFile; readonly platformText: string };
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

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kubernetes: {
    flags: ['namespace', 'service-account'],
    write(given) {
      const [issuer, namespace] = [issuerUrl(given), dnsLabel(given.optional('namespace', 'default'), 'namespace')];
      const account = dnsLabel(given.required('service-account'), 'service-account');
      const subject = `system:serviceaccount:${namespace}:${account}`;
      const config = configOf(given, {
        name: 'app',
        source: { file: { path: '/var/run/secrets/oidc/token' } },
        sinks: [{ file: { path: '/vault/token', mode: '0640' } }],
        expect: { issuer, audience: 'vault', subject },
        defaults: { mount: 'jwt', role: account, policy: `${account}-read`, secret: account, ttl: '1h' },
      });
      // The kubelet sends probes from outside the pod.
      return {
        config: { ...config, ops: { listen: '0.0.0.0:8276' } },
        platformText: podManifest(namespace, account, given),
      };
    },
  },
  gitlab: {
    flags: ['project', 'ref', 'ref-type'],
    write(given) {
      const issuer = issuerUrl(given);
      const [project, ref, refType] = [
        given.required('project'),
        given.optional('ref', 'main'),
        given.optional('ref-type', 'branch'),
      ];
      const config = configOf(given, {
        name: 'ci',
        source: { env: { name: 'VAULT_ID_TOKEN' } },
        sinks: [{ file: { path: '/tmp/vault/vault.env', format: 'env' } }],
        expect: { issuer, audience: issuer, subject: `project_path:${project}:ref_type:${refType}:ref:${ref}` },
        defaults: { mount: 'gitlab', role: 'gitlab-main', policy: 'ci-read', secret: 'app', ttl: '15m' },
      });
      return { config, platformText: gitlabJob(issuer, given) };
    },
  },
  vault: {
    flags: ['entity-id', 'source-address', 'source-namespace'],
    write(given) {
      const [, published = '', ofIssuer = ''] =
        /^(.*?)(?:\/v1\/(.*?)\/?identity\/oidc)?\/?$/.exec(issuerUrl(given)) ?? [];
      const namespace = given.optional('source-namespace', ofIssuer).replace(/^\/+|\/+$/g, '');
      const issuer = `${published}${identityPath(namespace)}`;
      const address = given.required('source-address');
      const mount = isAtOidcPub(published) ? (new URL(published).hostname.split('.')[0] ?? 'vault') : 'vault';
      const config = configOf(given, {
        name: 'federated',
        source: {
          vault_identity: {
            address,
            token_file: '/run/vault-source/token',
            role: 'federation',
            ...(namespace === '' ? {} : { namespace }),
          },
        },
        sinks: [{ file: { path: '/run/vault/token' } }],
        expect: { issuer, audience: 'vault', subject: given.required('entity-id') },
        defaults: { mount, role: 'external-vault', policy: 'vault-federation', secret: 'app', ttl: '10m' },
        // oidc.pub serves the discovery document at the bare host only
        ...(isAtOidcPub(published) ? { trust: { oidc_discovery_url: published, bound_issuer: issuer } } : {}),
      });
      return { config, platformText: issuingVault({ published, issuer, address, namespace }) };
    },
  },
};

/** Returns the issuer's URL. A bare name stands for an issuer at oidc.pub. @throws UsageError */
function issuerUrl(given: Given): string {
  const issuer = given.required('issuer');
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

function configOf(given: Given, { name, source, sinks, expect, defaults, trust }: Wish): ConfigFile {
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

/** Kubernetes names its objects so; the manifest and the policy contain the value as it is. @throws UsageError */
function dnsLabel(value: string, flag: string): string {
  if (/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(value)) return value;
  throw new UsageError(`--${flag} must be lower-case letters, digits, "-" and "."`);
}
