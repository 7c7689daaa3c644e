// Setups that are each broken in one place, with the finding that doctor must report first. If the finding has a
// command, running it must fix the setup; otherwise `mends` fixes it.

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { openIssuer } from '../../src/dev/issuer.ts';
import { type Handler, listenOn, type PlainReply, type TlsPair } from '../../src/dev/listen.ts';
import { makeCa, type TestCa } from '../support/certificates.ts';
import { replaceByRename } from '../support/temporary.ts';
import { type BrokenSetup, type Clinic, closePeers } from './clinic.ts';

const MINUTE_SECONDS = 60;
const nowSeconds = () => Math.floor(Date.now() / 1000);
const writeJwt = ({ writeJwt: write }: Clinic) => write();
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const fault = (reply: PlainReply | undefined) => (clinic: Clinic) => clinic.memory?.vault.setFault(() => reply);
const noFault = (clinic: Clinic) => clinic.memory?.vault.setFault(undefined);
const ROLE = {
  role_type: 'jwt',
  user_claim: 'sub',
  bound_audiences: 'vault',
  bound_subject: 'system:serviceaccount:default:app',
  token_policies: 'app-read',
  token_ttl: '1h',
};
const { bound_audiences: _audiences, ...UNBOUND_AUDIENCE } = ROLE;
const { bound_subject: _subject, ...UNBOUND_SUBJECT } = ROLE;

/** Adds the subject to the config, and runs the command that doctor prints then. */
async function withSubject({ app, examine, paste }: Clinic): Promise<void> {
  app.expect.subject = ROLE.bound_subject;
  const { findings, text } = await examine();
  await paste(findings[0]?.command ?? text);
}

/** Replaces the role. */
const roleIs = (members: Record<string, unknown>) => async (clinic: Clinic) => {
  await clinic.admin.call('DELETE', 'auth/jwt/role/app');
  await clinic.writeRole(members);
};

const CONFIG: readonly BrokenSetup[] = [
  {
    name: 'a Vault address with a path',
    code: 'config_invalid',
    breaks: ({ config, admin }) => {
      config.vault.address = `${admin.url}/v1`;
    },
    mends: ({ config, admin }) => {
      config.vault.address = admin.url;
    },
    says: /vault\.address: must be scheme:\/\/host\[:port\] alone/,
  },
  {
    name: 'a misspelt key',
    code: 'config_invalid',
    breaks: ({ app }) => {
      app.login = { rol: 'app' };
    },
    mends: ({ app }) => {
      app.login = { role: 'app' };
    },
    says: /exchanges\.app\.login\.rol: unknown key/,
  },
];

const JWT: readonly BrokenSetup[] = [
  { name: 'a missing JWT', code: 'jwt_missing', breaks: ({ here }) => rm(here('jwt')), mends: writeJwt },
  {
    name: 'a directory instead of the JWT',
    code: 'jwt_not_a_file',
    breaks: async ({ here }) => {
      await rm(here('jwt'));
      await mkdir(here('jwt'));
    },
    mends: async (clinic) => {
      await rmdir(clinic.here('jwt'));
      await clinic.writeJwt();
    },
  },
  { name: 'an empty JWT', code: 'jwt_empty', breaks: ({ here }) => writeFile(here('jwt'), '\n'), mends: writeJwt },
  {
    name: 'a JWT without its signature',
    code: 'jwt_malformed',
    breaks: async (clinic) => {
      const jwt = await clinic.writeJwt();
      await replaceByRename(clinic.here('jwt'), jwt.slice(0, jwt.lastIndexOf('.')));
    },
    mends: writeJwt,
    says: /it has 2 parts instead of 3/,
  },
  ...(
    [
      ['"Bearer" before the JWT', (jwt) => `Bearer ${jwt}`, /other text around it .*\n +it begins with "Bearer"/],
      [
        'a JSON document around the JWT',
        (jwt) => JSON.stringify({ token: jwt }),
        /it is in a JSON document\n +.*jq -r/,
      ],
    ] as const satisfies readonly (readonly [string, (jwt: string) => string, RegExp])[]
  ).map(
    ([name, around, says]): BrokenSetup => ({
      name,
      code: 'jwt_wrapped',
      breaks: async (clinic) => replaceByRename(clinic.here('jwt'), around(await clinic.writeJwt())),
      mends: writeJwt,
      says,
    }),
  ),
  {
    name: 'a Vault token in place of the JWT',
    code: 'jwt_malformed',
    breaks: ({ here }) => replaceByRename(here('jwt'), 'hvs.CAESIJ-abcdefghijklmnop'),
    mends: writeJwt,
    says: /it is a Vault token/,
  },
  {
    name: 'a JWT with a truncated signature',
    code: 'issuer_signature',
    breaks: async (clinic) => replaceByRename(clinic.here('jwt'), (await clinic.writeJwt()).slice(0, -8)),
    mends: writeJwt,
  },
  {
    name: 'a JWT file of 70 kB',
    code: 'jwt_too_large',
    breaks: ({ here }) => writeFile(here('jwt'), 'x'.repeat(70_000)),
    mends: writeJwt,
  },
  {
    name: 'a trailing slash in the expected issuer',
    code: 'jwt_wrong_issuer',
    breaks: ({ app }) => {
      app.expect.issuer += '/';
    },
    mends: ({ app, issuer }) => {
      app.expect.issuer = issuer.issuer;
    },
  },
  {
    name: 'a JWT for another audience',
    code: 'jwt_wrong_audience',
    breaks: ({ writeJwt: write }) => write({ aud: 'https://kubernetes.default.svc' }),
    mends: writeJwt,
    says: /aud is "https:\/\/kubernetes\.default\.svc", expected "vault"/,
  },
  {
    name: 'a service account of another namespace',
    code: 'jwt_wrong_subject',
    breaks: ({ writeJwt: write }) => write({ sub: 'system:serviceaccount:team:app' }),
    mends: writeJwt,
    says: /sub is "system:serviceaccount:team:app"/,
  },
  {
    name: 'an environment variable that is not set',
    code: 'jwt_missing',
    breaks: ({ app }) => {
      app.source = { env: { name: 'NO_SUCH_JWT' } };
    },
    mends: ({ app, here }) => {
      app.source = { file: { path: here('jwt') } };
    },
    says: /NO_SUCH_JWT is not set/,
  },
  {
    name: 'a missing token for a vault_identity source',
    code: 'identity_token_missing',
    breaks: ({ app, admin, here }) => {
      app.source = { vault_identity: { address: admin.url, token_file: here('none'), role: 'r' } };
    },
    mends: ({ app, here }) => {
      app.source = { file: { path: here('jwt') } };
    },
  },
  {
    name: 'an expired JWT',
    code: 'jwt_expired',
    breaks: ({ writeJwt: write }) =>
      write({ iat: nowSeconds() - 70 * MINUTE_SECONDS, exp: nowSeconds() - 10 * MINUTE_SECONDS }),
    mends: writeJwt,
  },
  ...[3600, -10].map(
    (life): BrokenSetup => ({
      name: `a JWT that expired within Vault's leeway, ${life < 0 ? 'before its iat' : 'after an hour'}`,
      code: 'jwt_in_leeway',
      breaks: ({ writeJwt: write }) => write({ iat: nowSeconds() - 5 - life, exp: nowSeconds() - 5 }),
      mends: writeJwt,
      says: /it expired \d+ s ago; the file last changed[\s\S]*; it expired \d+ s ago$/m,
    }),
  ),
  {
    name: 'a JWT that is not valid yet',
    code: 'jwt_not_yet_valid',
    breaks: ({ writeJwt: write }) => write({ nbf: nowSeconds() + 10 * MINUTE_SECONDS }),
    mends: writeJwt,
  },
  {
    name: 'a Vault whose clock is five minutes behind',
    code: 'clock_wrong',
    memory: true,
    breaks: ({ memory }) => memory?.setSkew(-5 * MINUTE_SECONDS * 1000),
    mends: ({ memory }) => memory?.setSkew(0),
    says: /this machine's clock is 5 min ahead of Vault's[\s\S]*leads to: the workload JWT isn't valid yet/,
  },
  {
    name: 'a JWT signed with HS256',
    code: 'algorithm_refused',
    breaks: async ({ issuer, here }) => {
      const claims = { iss: issuer.issuer, aud: 'vault', sub: 'system:serviceaccount:default:app' };
      const times = { iat: nowSeconds(), exp: nowSeconds() + 3600 };
      const signed = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url({ ...claims, ...times })}`;
      await replaceByRename(here('jwt'), `${signed}.${createHmac('sha256', 'k').update(signed).digest('base64url')}`);
    },
    mends: writeJwt,
  },
];

const ISSUER: readonly BrokenSetup[] = [
  {
    name: 'a trailing slash in bound_issuer',
    code: 'issuer_mismatch',
    breaks: ({ admin, issuer }) =>
      admin.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: `${issuer.issuer}/` }),
    says: /the JWT's iss is http/,
  },
  {
    name: 'a discovery document of another issuer',
    code: 'issuer_renamed',
    memory: true,
    breaks: ({ issuer, memory }) => {
      issuer.rename('https://other.oidc.pub');
      forgetKeys(memory);
    },
    mends: ({ issuer }) => issuer.rename(issuer.issuer),
    says: /names the issuer "https:\/\/other\.oidc\.pub"\n[\s\S]*leads to: the auth mount's trust config doesn't work/,
  },
  {
    name: 'keys that were rotated after the JWT was signed',
    code: 'issuer_key_missing',
    breaks: ({ issuer }) => issuer.rotateKeys(false),
    mends: writeJwt,
    memory: true,
  },
  {
    name: 'a JWT signed by a key that was never published',
    code: 'issuer_key_missing',
    breaks: async ({ issuer, here }) => {
      const other = await openIssuer({ issuer: issuer.issuer });
      await other.rotateKeys(false);
      await replaceByRename(here('jwt'), await other.mint({ sub: 'system:serviceaccount:default:app' }));
      await other.close();
    },
    mends: writeJwt,
    says: /has no key "dev-2", only "dev-1"\n.*Otherwise another issuer signed it[\s\S]*leads to: Vault can't verify the JWT's signature/,
  },
  {
    name: "a JWT forged under the issuer's name and key id",
    code: 'issuer_signature',
    breaks: async ({ issuer, here }) => {
      const other = await openIssuer({ issuer: issuer.issuer });
      await replaceByRename(here('jwt'), await other.mint({ sub: 'system:serviceaccount:default:app' }));
      await other.close();
    },
    mends: writeJwt,
  },
  {
    name: 'an issuer without a discovery document',
    code: 'issuer_unpublished',
    breaks: async ({ app, issuer, admin, writeJwt: write }) => {
      await admin.call('DELETE', 'sys/auth/jwt');
      await admin.write('sys/auth/jwt', { type: 'jwt' });
      app.expect.issuer = `${issuer.issuer}/private`;
      await write({ iss: `${issuer.issuer}/private` });
    },
    mends: async ({ app, issuer, admin, writeJwt: write, writeRole }) => {
      app.expect.issuer = issuer.issuer;
      await write();
      await admin.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
      await writeRole(ROLE);
    },
    says: /status 404[\s\S]*leads to: the auth mount trusts no issuer yet/,
  },
  {
    name: 'an issuer with a certificate of a CA that Vault does not know',
    code: 'issuer_tls',
    breaks: async (clinic) => {
      const { cert } = await certifyAgain(clinic);
      clinic.app.setup.trust = { oidc_discovery_ca_pem: cert };
    },
    says: /x509: certificate signed by unknown authority; from this machine, the issuer's keys verify the JWT/,
  },
  {
    name: 'an issuer with a certificate of a CA that neither Vault nor the config knows',
    code: 'issuer_tls',
    breaks: certifyAgain,
    mends: withCa,
    says: /x509: certificate signed by unknown authority\n +If its CA is unknown, set setup\.trust\.oidc_discovery_ca_pem/,
  },
  {
    name: 'a mount without a trust config, for an issuer with a certificate of an unknown CA',
    code: 'issuer_tls',
    breaks: async (clinic) => {
      await certifyAgain(clinic);
      await clinic.admin.call('DELETE', 'sys/auth/jwt');
      await clinic.admin.write('sys/auth/jwt', { type: 'jwt' });
    },
    mends: withCa,
    says: /from this machine, https:.* signed by an unknown CA .*[\s\S]*leads to: the auth mount trusts no issuer yet/,
  },
  {
    name: 'an issuer that is down',
    code: 'issuer_unreachable_here',
    memory: true,
    breaks: ({ issuer, memory }) => {
      issuer.setDown(true);
      forgetKeys(memory);
    },
    mends: ({ issuer }) => issuer.setDown(false),
    says: /leads to: Vault can't fetch the issuer's keys/,
  },
  {
    name: 'an issuer that only Vault cannot reach',
    code: 'issuer_unreachable',
    memory: true,
    breaks: ({ memory, issuer }) => {
      const mount = memory?.vault.mount('jwt');
      if (mount !== undefined) mount.config = { jwks_url: 'http://127.0.0.1:1/keys', bound_issuer: issuer.issuer };
      forgetKeys(memory);
    },
    mends: ({ admin, issuer }) =>
      admin.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer }),
    says: /from this machine, the issuer's keys verify the JWT/,
  },
  {
    name: "a mount that trusts another issuer's keys",
    code: 'signature_invalid',
    breaks: async ({ admin, issuer, peers }) => {
      const other = await openIssuer();
      await admin.write('auth/jwt/config', { jwks_url: `${other.url}/keys`, bound_issuer: issuer.issuer });
      // keep it running, since Vault fetches the keys at the first login
      peers.push(other);
    },
    says: /from this machine, the issuer's keys verify the JWT/,
  },
];

/** Makes the mount trust another issuer, whose certificate is then replaced by one of a new CA. @returns the new CA */
async function certifyAgain({ admin, app, directory, here, peers }: Clinic): Promise<TestCa> {
  const [old, next] = [makeCa(directory, 'old'), makeCa(directory, 'new')];
  const before = await openIssuer({ tls: old.issue() });
  const { issuer } = before;
  const trust = { oidc_discovery_url: issuer, bound_issuer: issuer, oidc_discovery_ca_pem: old.cert };
  await admin.write('auth/jwt/config', trust);
  await before.close();
  const after = await openIssuer({ tls: next.issue(), port: Number(new URL(issuer).port) });
  peers.push(after);
  app.expect.issuer = issuer;
  await replaceByRename(here('jwt'), await after.mint({ sub: ROLE.bound_subject }));
  return next;
}

/** Adds the new CA to the config, and runs the command that doctor prints then. */
async function withCa({ app, here, examine, paste }: Clinic): Promise<void> {
  app.setup.trust = { oidc_discovery_ca_pem: await readFile(here('new.pem'), 'utf8') };
  const { findings, text } = await examine();
  await paste(findings[0]?.command ?? text);
}

function forgetKeys(memory: Clinic['memory']): void {
  const mount = memory?.vault.mount('jwt');
  if (mount === undefined) return;
  mount.keys = undefined;
  mount.keysUrl = undefined;
}

const MOUNT: readonly BrokenSetup[] = [
  {
    name: 'a missing mount',
    code: 'mount_missing',
    breaks: ({ admin }) => admin.call('DELETE', 'sys/auth/jwt'),
    says: /no JWT auth method answers at auth\/jwt/,
  },
  {
    name: 'a wrong mount name',
    code: 'mount_missing',
    breaks: ({ app }) => {
      app.login.mount = 'jwt2';
    },
    mends: ({ app }) => {
      app.login.mount = 'jwt';
    },
    says: /Correct login\.mount and login\.namespace: a JWT auth method answers at mount jwt with no namespace/,
  },
  {
    name: "a misspelt mount, with an operator's token",
    code: 'mount_missing',
    operator: true,
    breaks: ({ app }) => {
      app.login.mount = 'jtw';
    },
    mends: ({ app }) => {
      app.login.mount = 'jwt';
    },
    says: /; JWT auth methods are at jwt\n +Did you mean "jwt"\? If so, correct login\.mount\./,
  },
  {
    name: 'a wrong namespace',
    code: 'mount_missing',
    memory: true,
    breaks: ({ app }) => {
      app.login.namespace = 'team-a';
    },
    mends: ({ app }) => {
      app.login.namespace = undefined;
    },
    says: /in namespace team-a[\s\S]*a JWT auth method answers at mount jwt with no namespace/,
  },
  {
    name: 'a mount of another auth method',
    code: 'mount_missing',
    operator: true,
    says: /auth\/jwt is of type userpass\n +Correct login\.mount, or enable/,
    breaks: async ({ admin }) => {
      await admin.call('DELETE', 'sys/auth/jwt');
      await admin.write('sys/auth/jwt', { type: 'userpass' });
    },
    mends: async ({ admin, issuer, writeRole }) => {
      await admin.call('DELETE', 'sys/auth/jwt');
      await admin.write('sys/auth/jwt', { type: 'jwt' });
      await admin.write('auth/jwt/config', { oidc_discovery_url: issuer.issuer, bound_issuer: issuer.issuer });
      await writeRole(ROLE);
    },
  },
  {
    name: 'a mount without a trust config',
    code: 'mount_unconfigured',
    breaks: async ({ admin, writeRole }) => {
      await admin.call('DELETE', 'sys/auth/jwt');
      await admin.write('sys/auth/jwt', { type: 'jwt' });
      await writeRole(ROLE);
    },
  },
];

const ROLES: readonly BrokenSetup[] = [
  { name: 'a missing role', code: 'role_missing', breaks: ({ admin }) => admin.call('DELETE', 'auth/jwt/role/app') },
  {
    name: "a misspelt role, with an operator's token",
    code: 'role_missing',
    operator: true,
    breaks: async ({ app, admin }) => {
      await admin.write('auth/jwt/role/billing', ROLE);
      app.login.role = 'apq';
    },
    mends: ({ app }) => {
      app.login.role = 'app';
    },
    says: /could not be found; auth\/jwt has roles (?:app, billing|billing, app)\n +Did you mean "app"\? If so, correct login\.role\. Otherwise: Create role "apq"/,
  },
  {
    name: 'a role of type oidc',
    code: 'role_type_oidc',
    breaks: roleIs({ ...ROLE, role_type: 'oidc', allowed_redirect_uris: 'http://127.0.0.1/callback' }),
  },
  {
    name: 'a role of type oidc without a bound, and a config without a subject',
    code: 'role_type_oidc',
    operator: true,
    breaks: async (clinic) => {
      const { bound_audiences: _, ...unbound } = UNBOUND_SUBJECT;
      await roleIs({ ...unbound, role_type: 'oidc', allowed_redirect_uris: 'http://127.0.0.1/callback' })(clinic);
      clinic.app.expect.subject = undefined;
    },
    mends: withSubject,
    says: /Vault refuses one without a bound\. .*To get the command, correct the config: .*set expect\.subject/,
  },
  {
    name: 'a missing role, and a config without a subject',
    code: 'role_missing',
    breaks: async ({ admin, app }) => {
      await admin.call('DELETE', 'auth/jwt/role/app');
      app.expect.subject = undefined;
    },
    mends: withSubject,
    says: /To get the command, correct the config: every subject of the issuer may log in: set expect\.subject/,
  },
  {
    name: 'a role without an audience',
    code: 'audience_unbound',
    breaks: roleIs(UNBOUND_AUDIENCE),
    says: /aud is vault/,
  },
  {
    name: "a role for another audience, with an operator's token",
    code: 'audience_mismatch',
    operator: true,
    breaks: roleIs({ ...ROLE, bound_audiences: ['sts', 'web'] }),
    says: /the JWT's aud is vault, the role's bound_audiences sts web/,
  },
  {
    name: 'a role for another namespace',
    code: 'subject_mismatch',
    breaks: roleIs({ ...ROLE, bound_subject: 'system:serviceaccount:team:app' }),
    says: /the JWT's sub is system:serviceaccount:default:app\n +If the role is for this workload, .*; otherwise correct login\.role, or run the workload/,
  },
  {
    name: 'a bound claim with another value',
    code: 'claims_mismatch',
    operator: true,
    breaks: async (clinic) => {
      await clinic.writeJwt({ ref: 'main' });
      await clinic.writeRole({ bound_claims: { ref: 'release' } });
      clinic.app.setup.role.bound_claims = { ref: 'main' };
    },
  },
  {
    name: 'a bound claim that the JWT lacks',
    code: 'claims_mismatch',
    breaks: roleIs({ ...ROLE, bound_claims: { ref: 'main' } }),
    mends: ({ writeJwt: write }) => write({ ref: 'main' }),
    says: /claim "ref" is missing/,
  },
  {
    name: 'a nested bound claim, as in Kubernetes tokens',
    code: 'claims_mismatch',
    operator: true,
    breaks: async (clinic) => {
      await clinic.writeJwt({ 'kubernetes.io': { namespace: 'default' } });
      await clinic.writeRole({ bound_claims: { '/kubernetes.io/namespace': 'team' } });
      clinic.app.setup.role.bound_claims = { '/kubernetes.io/namespace': 'default' };
    },
    says: /the JWT's \/kubernetes\.io\/namespace is default, the role's bound_claims team/,
  },
  {
    name: 'a user claim that the JWT lacks',
    code: 'claims_mismatch',
    breaks: roleIs({ ...ROLE, user_claim: 'email' }),
  },
  {
    name: 'a groups claim that the JWT lacks',
    code: 'claims_mismatch',
    breaks: roleIs({ ...ROLE, groups_claim: 'teams' }),
  },
  ...[false, true].map(
    (operator): BrokenSetup => ({
      name: `a role bound to other IP addresses${operator ? ", with an operator's token" : ''}`,
      code: 'address_refused',
      ...(operator ? { operator } : {}),
      breaks: roleIs({ ...ROLE, token_bound_cidrs: ['10.9.0.0/16', '10.8.1.2/32'] }),
      mends: ({ writeRole }) => writeRole({ token_bound_cidrs: ['10.9.0.0/16', '127.0.0.1/32'] }),
      says: operator
        ? /the role's token_bound_cidrs are 10\.9\.0\.0\/16 10\.8\.1\.2(\/32)?; this machine connects from 127\.0\.0\.1$/m
        : /permission denied; the mount answers, so the role's token_bound_cidrs exclude the address; this machine connects from 127\.0\.0\.1$/m,
    }),
  ),
];

const standby = { initialized: true, sealed: false, standby: true, version: '1.21.1' };

const VAULT: readonly BrokenSetup[] = [
  {
    name: 'an address at which nothing listens',
    code: 'vault_unreachable',
    breaks: ({ config }) => {
      config.vault.address = 'https://127.0.0.1:1';
    },
    mends: addressAgain,
  },
  {
    name: 'an unknown host name',
    code: 'vault_name_unknown',
    breaks: ({ config }) => {
      config.vault.address = 'https://vault.invalid:8200';
    },
    mends: addressAgain,
  },
  {
    name: 'a Vault that hangs',
    code: 'vault_timeout',
    memory: true,
    breaks: (clinic) => {
      clinic.config.vault.timeout = '500ms';
      return fault(undefined)(clinic);
    },
    mends: noFault,
  },
  {
    name: 'a sealed Vault',
    code: 'vault_sealed',
    breaks: ({ admin }) => admin.call('PUT', 'sys/seal'),
    mends: (clinic) => (clinic.unseal === undefined ? clinic.paste('vault operator unseal') : clinic.unseal()),
    says: /vault operator unseal/,
  },
  {
    name: 'a Vault that was never initialised',
    code: 'vault_uninitialized',
    memory: true,
    breaks: fault({ status: 501, body: { initialized: false, sealed: true } }),
    mends: noFault,
  },
  {
    name: 'a cluster without an active node',
    code: 'vault_no_leader',
    memory: true,
    breaks: fault({ status: 503, body: { errors: ['no active Vault instance found'] } }),
    mends: noFault,
  },
  {
    name: 'a standby that redirects',
    code: 'redirect_blocked',
    memory: true,
    breaks: ({ memory }) =>
      memory?.vault.setFault(({ path }) =>
        path === '/v1/sys/health'
          ? { status: 429, body: standby }
          : { status: 307, body: '', headers: { location: 'http://127.0.0.2:8200/v1' } },
      ),
    mends: noFault,
    says: /to host 127\.0\.0\.2:8200/,
  },
  {
    name: 'a server that redirects http to https',
    code: 'redirect_blocked',
    breaks: (clinic) =>
      pose(clinic, () => ({ status: 301, body: '', headers: { location: 'https://vault.example/' } })),
    mends: addressAgain,
    says: /Use https:\/\/ in vault\.address/,
  },
  {
    name: 'a rate limit',
    code: 'vault_rate_limited',
    memory: true,
    breaks: fault({ status: 429, body: { errors: ['request path "auth/jwt/login": rate limit quota exceeded'] } }),
    mends: noFault,
  },
  {
    name: 'a captive portal instead of Vault',
    code: 'not_vault',
    memory: true,
    breaks: fault({ status: 200, body: '<html>Welcome</html>' }),
    mends: noFault,
    says: /leads to: the response is not a valid Vault response/,
  },
  {
    name: "a web server at Vault's address",
    code: 'not_vault',
    breaks: (clinic) => pose(clinic, () => PAGE),
    mends: addressAgain,
    says: /GET \/v1\/sys\/health: status 404, text\/html, from nginx\n +Correct vault\.address[\s\S]*leads to: the auth mount doesn't exist/,
  },
  {
    name: "a web server without POST at Vault's address",
    code: 'not_vault',
    breaks: (clinic) => pose(clinic, ({ method }) => ({ ...PAGE, status: method === 'GET' ? 404 : 501 })),
    mends: addressAgain,
  },
  {
    name: "another API at Vault's address",
    code: 'not_vault',
    breaks: (clinic) => pose(clinic, () => ({ status: 200, body: { status: 'ok' } })),
    mends: addressAgain,
    says: /status 200, application\/json\n/,
  },
  {
    name: "a server that implements no method at Vault's address",
    code: 'not_vault',
    breaks: (clinic) => pose(clinic, () => ({ status: 501, body: 'Unsupported method' })),
    mends: addressAgain,
  },
  {
    name: 'a Vault behind a proxy that blocks sys/health, with a wrong subject',
    code: 'subject_mismatch',
    memory: true,
    breaks: ({ memory }) => memory?.vault.setFault(({ path }) => (path === '/v1/sys/health' ? PAGE : WRONG_SUBJECT)),
    mends: noFault,
  },
  {
    name: 'an unknown CA',
    code: 'vault_tls',
    tls: true,
    breaks: ({ config }) => {
      config.vault.tls = {};
    },
    mends: trustAgain,
    says: /signed by an unknown CA .*it is for IP Address:127\.0\.0\.1, issued by ca/,
  },
  {
    name: 'a certificate for another name',
    code: 'vault_tls',
    tls: true,
    breaks: ({ config }) => {
      config.vault.tls.server_name = 'vault.example.com';
    },
    mends: trustAgain,
    says: /issued for another name/,
  },
  {
    name: 'an http address for an https port',
    code: 'vault_not_http',
    tls: true,
    breaks: ({ config, admin }) => {
      config.vault.address = admin.url.replace('https', 'http');
    },
    mends: addressAgain,
  },
  ...(
    ['', 'HTTP/1.1 400 Bad Request\r\n\r\n<title>400 The plain HTTP request was sent to HTTPS port</title>'] as const
  ).map(
    (reply): BrokenSetup => ({
      name: `an http address for a TLS server that ${reply === '' ? 'closes the connection' : 'answers with a web page'}`,
      code: 'vault_not_http',
      breaks: (clinic) => poseWithTls(clinic, reply),
      mends: addressAgain,
      says: /it speaks TLS, with a certificate for IP Address:127\.0\.0\.1, issued by other-ca\n +Use https:\/\/ in vault\.address if /,
    }),
  ),
  {
    name: 'an https address for an http port',
    code: 'vault_not_http',
    breaks: ({ config, admin }) => {
      config.vault.address = admin.url.replace('http:', 'https:');
    },
    mends: addressAgain,
  },
  {
    name: 'a CA file that is missing',
    code: 'vault_tls_files',
    tls: true,
    breaks: ({ config, here }) => {
      config.vault.tls.ca_file = here('none.pem');
    },
    mends: trustAgain,
  },
];

const WRONG_SUBJECT = { status: 400, body: { errors: ['error validating token: invalid subject (sub) claim'] } };
const PAGE = { status: 404, body: '<html>404</html>', headers: { 'content-type': 'text/html', server: 'nginx' } };

/** Points the config at another server. */
async function pose({ config, peers }: Clinic, handle: Handler): Promise<void> {
  const server = await listenOn({}, handle);
  peers.push(server);
  config.vault.address = server.url;
}

/** Points the config at the port of a TLS server by http. Its answer to plain HTTP is `reply`, and then it closes. */
async function poseWithTls({ config, peers, directory }: Clinic, reply: string): Promise<void> {
  const { close, port } = await openTlsServer(makeCa(directory, 'other-ca').issue(), reply);
  peers.push({ close });
  config.vault.address = `http://127.0.0.1:${port}`;
}

async function openTlsServer(pair: TlsPair, reply: string) {
  const secure = createServer(pair, (_request, response) => response.end('welcome'));
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (first) => {
      // a TLS handshake begins with this byte
      if (first[0] !== 22) return socket.end(reply);
      socket.pause();
      socket.unshift(first);
      return secure.emit('connection', socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    secure.closeAllConnections();
    server.close();
  };
  return { close, port: (server.address() as AddressInfo).port };
}

function addressAgain({ config, admin }: Clinic): void {
  config.vault.address = admin.url;
}

function trustAgain({ config, caFile }: Clinic): void {
  config.vault.tls = { ca_file: caFile };
}

const TOKEN: readonly BrokenSetup[] = [
  ...(['raw', 'json', 'env'] as const).map(
    (format): BrokenSetup => ({
      name: `a revoked token in the sink, as ${format} (K17)`,
      code: 'held_token_dead',
      breaks: async ({ app, here, admin }) => {
        app.sinks[0].file.format = format;
        const created = await admin.write('auth/token/create', { ttl: '1h' });
        const token = (created.body['auth'] as { client_token: string }).client_token;
        await admin.write('auth/token/revoke', { token });
        const text = { raw: token, json: JSON.stringify({ token }), env: `VAULT_TOKEN=${token}\n` }[format];
        await writeFile(here('sink/token'), text);
      },
      mends: ({ here }) => rm(here('sink/token')),
      says: /the token in .*sink\/token: status 403[\s\S]*vault-token-sidecar refresh/,
    }),
  ),
  {
    name: 'a token without renew-self',
    code: 'renewal_denied',
    breaks: ({ writeRole }) => writeRole({ token_no_default_policy: true }),
  },
  {
    name: 'a TTL above the maximum TTL',
    code: 'token_capped',
    breaks: ({ writeRole }) => writeRole({ token_ttl: '1000h' }),
  },
  { name: 'batch tokens', code: 'token_batch', breaks: ({ writeRole }) => writeRole({ token_type: 'batch' }) },
  {
    name: 'a token limited to three uses',
    code: 'token_uses_limited',
    breaks: ({ writeRole }) => writeRole({ token_num_uses: 3 }),
  },
  {
    name: 'a token that outlives its JWT',
    code: 'token_outlives_jwt',
    breaks: ({ writeRole }) => writeRole({ token_ttl: '4h' }),
    mends: ({ writeRole }) => writeRole({ token_ttl: '1h' }),
  },
  {
    name: 'a JWT that is valid for a week',
    code: 'jwt_long_lived',
    breaks: ({ writeJwt: write }) => write({ ttlSeconds: 7 * 86_400 }),
    mends: writeJwt,
  },
  {
    name: 'a JWT that is not rotated',
    code: 'jwt_unrotated',
    breaks: ({ writeJwt: write }) => write({ iat: nowSeconds() - 3500, exp: nowSeconds() + 100 }),
    mends: writeJwt,
  },
  {
    name: 'a token without policies',
    code: 'token_powerless',
    breaks: ({ writeRole }) => writeRole({ token_policies: [] }),
    mends: ({ writeRole }) => writeRole({ token_policies: ['app-read'] }),
  },
  {
    name: 'a misspelt policy in the role',
    code: 'policy_missing',
    operator: true,
    breaks: async ({ app, writeRole }) => {
      delete app.setup;
      await writeRole({ token_policies: ['app-raed'] });
    },
    mends: ({ writeRole }) => writeRole({ token_policies: ['app-read'] }),
    says: /\n +"app-raed"; did you mean "app-read"\?\n/,
  },
  {
    name: 'a misspelt policy in the setup and in the role',
    code: 'policy_missing',
    operator: true,
    breaks: async ({ app, writeRole }) => {
      app.setup = { role: { token_policies: ['app-raed'] } };
      await writeRole({ token_policies: ['app-raed'] });
    },
    mends: async ({ app, writeRole }) => {
      app.setup = { role: { token_policies: ['app-read'] } };
      await writeRole({ token_policies: ['app-read'] });
    },
  },
  {
    name: 'a policy of the setup that is not in Vault',
    code: 'policy_missing',
    operator: true,
    breaks: ({ admin }) => admin.call('DELETE', 'sys/policies/acl/app-read'),
    says: /\n +"app-read"\n[\s\S]*vault policy write app-read/,
  },
  {
    name: 'a role that allows every subject',
    code: 'role_trusts_all',
    operator: true,
    breaks: roleIs(UNBOUND_SUBJECT),
  },
  {
    name: "a role that differs from the config's setup",
    code: 'setup_differs',
    operator: true,
    breaks: ({ writeRole }) => writeRole({ token_ttl: '10m' }),
    mends: ({ writeRole }) => writeRole({ token_ttl: '1h' }),
    says: /auth\/jwt\/role\/app token_ttl 600 -> 3600/,
  },
];

const OWN: readonly BrokenSetup[] = [
  { name: 'a missing sink directory', code: 'sink_directory_missing', breaks: ({ here }) => rmdir(here('sink')) },
  {
    name: 'a world-writable sink directory',
    code: 'sink_directory_unsafe',
    breaks: ({ here }) => chmod(here('sink'), 0o777),
  },
  {
    name: 'a sink directory that another user owns',
    code: 'sink_directory_unsafe',
    root: true,
    breaks: ({ here }) => chown(here('sink'), 1234, 1234),
    mends: ({ here }) => chown(here('sink'), 0, 0),
    says: /is owned by user 1234; doctor runs as 0:0\n +If the sidecar runs as that user, run doctor as that user too/,
  },
  {
    name: "a directory at the sink's path",
    code: 'sink_blocked',
    breaks: ({ here }) => mkdir(here('sink/token')),
    mends: ({ here }) => rmdir(here('sink/token')),
  },
  ...(
    [
      ['/proc/token', /\/proc is in a proc file system \(ENOENT\)\n +Move the sink/],
      ['/proc/vault/token', /\/proc\/vault is in a proc file system/],
      ['/sys/token', /\/sys is in a sysfs file system/],
      ['/dev/pts/token', /\/dev\/pts is in a devpts file system/],
    ] as const
  ).map(
    ([path, says]): BrokenSetup => ({
      name: `a sink at ${path}`,
      code: 'sink_file_system',
      breaks: ({ app }) => {
        app.sinks[0].file.path = path;
      },
      mends: ({ app, here }) => {
        app.sinks[0].file.path = here('sink/token');
      },
      says,
    }),
  ),
  ...(['api', 'ops', 'exchanges.app.proxy'] as const).map(
    (listener): BrokenSetup => ({
      name: `the port of ${listener}.listen is taken`,
      code: 'listen_failed',
      breaks: async ({ config, app, peers }) => {
        const server = await listenOn({}, () => ({ status: 404, body: {} }));
        const { host: listen } = new URL(server.url);
        if (listener === 'exchanges.app.proxy') Object.assign(app, { proxy: { listen } });
        else config[listener].listen = listen;
        peers.push(server);
      },
      mends: closePeers,
      says: new RegExp(`${listener}.listen 127.0.0.1:\\d+: another process listens on it`),
    }),
  ),
];

export const BROKEN_SETUPS: readonly BrokenSetup[] = [
  ...CONFIG,
  ...JWT,
  ...ISSUER,
  ...MOUNT,
  ...ROLES,
  ...VAULT,
  ...TOKEN,
  ...OWN,
];
