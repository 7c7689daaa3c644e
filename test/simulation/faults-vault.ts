// Faults of Vault and of the network: unreachable, no reply, slow, errors, malformed replies, lost tokens, clock skew.

import type { Chance } from '../support/random.ts';
import { type ArrivedCall, type Operation, type RawReply, replyOf, type Trouble } from '../support/simulated-vault.ts';
import type { Kind, Ongoing } from './faults.ts';
import type { Life } from './life.ts';
import { type Fault, HOUR, MINUTE, SECOND, type Setup, SLOW_MS, SOON_MS } from './plan.ts';

const errors = (status: number, words: string, headers?: Record<string, string>): RawReply =>
  replyOf(status, { errors: [words] }, headers);

const UNREACHABLE = [
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'ECONNRESET', 'UND_ERR_SOCKET'],
  ...['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER', 'UND_ERR_PRX_TLS', 'silent'],
];

/** Replies to any request, instead of Vault's. */
const REFUSALS: Readonly<Record<string, RawReply>> = {
  sealed: errors(503, 'Vault is sealed'),
  'no leader': errors(500, 'local node not active but active cluster node not found'),
  'server error': errors(500, 'internal error'),
  'bad gateway': replyOf(502, '<html><h1>502 Bad Gateway</h1></html>'),
  'lagging node': errors(412, 'required index state not present'),
  uninitialized: errors(501, 'Vault is not initialized'),
  locked: errors(
    503,
    'API access to this namespace has been locked by an administrator - "team/" must be unlocked: namespace locked',
  ),
  redirected: replyOf(302, '', { location: 'https://elsewhere.test/' }),
  'plain 400': replyOf(400, 'Client sent an HTTP request to an HTTPS server.\n'),
  teapot: replyOf(418, ''),
};

const RETRY_AFTER = ['30', '1', '0', '-1', '1000000000', 'soon', 'Sun, 01 Nov 2026 00:01:00 GMT', '1.5', '120'];

const LOGIN_REFUSALS: Readonly<Record<string, RawReply>> = {
  'no role': errors(400, 'role "app" could not be found'),
  'no config': errors(400, 'could not load configuration'),
  'keys in rotation': errors(400, 'error validating token: error verifying token signature: no known key'),
  'issuer down': errors(400, 'error validating token: error fetching keys from "https://issuer.test": 503'),
  'other audience': errors(400, 'error validating token: invalid audience (aud) claim'),
  'other claims': errors(
    400,
    'error validating claims: claim "project" does not match any associated bound claim values',
  ),
  expired: errors(400, 'error validating token: invalid expiration time (exp): token is expired'),
  'of the future': errors(400, 'error validating token: invalid not before (nbf): token not yet valid'),
  forbidden: errors(403, 'permission denied'),
  'no mount': errors(404, 'no handler for route "auth/jwt/login"'),
  'new words': errors(400, 'the moon is in the wrong house'),
};

const RENEWAL_REFUSALS: Readonly<Record<string, RawReply>> = {
  denied: errors(403, 'permission denied'),
  'not renewable': errors(400, 'lease is not renewable'),
  'maximum reached': errors(400, 'past the max TTL, cannot renew'),
  'role deleted': errors(500, 'role "app" does not exist during renewal'),
  'server error': errors(500, 'internal error'),
  'no content': replyOf(204, ''),
};

const auth = (members: unknown): RawReply => replyOf(200, { auth: members });
const good = { client_token: 'hvs.CANARY-neverminted', lease_duration: 3600, renewable: true };

/** Replies with status 200 and no usable token. */
const LIES: Readonly<Record<string, RawReply>> = {
  nothing: replyOf(200, ''),
  list: replyOf(200, '[]'),
  null: replyOf(200, 'null'),
  html: replyOf(200, '<html>Please log in to this network</html>'),
  deep: replyOf(200, '['.repeat(5000)),
  cut: replyOf(200, '{"auth":{"client_token":"hvs.CANARY-cut'),
  'no auth': auth(null),
  prototype: replyOf(200, '{"__proto__":{"auth":{}}}'),
  wrapped: replyOf(200, { auth: null, wrap_info: { token: 'hvs.CANARY-wrapping' } }),
  'second factor': auth({ ...good, mfa_requirement: { mfa_request_id: 'x' } }),
  'no token': auth({ ...good, client_token: '' }),
  'two lines': auth({ ...good, client_token: 'hvs.CANARY-one\nhvs.CANARY-two' }),
  nul: auth({ ...good, client_token: 'hvs.CANARY-\u0000' }),
  long: auth({ ...good, client_token: `hvs.CANARY${'x'.repeat(100_000)}` }),
  'lease below 0': auth({ ...good, lease_duration: -1 }),
  'lease null': auth({ ...good, lease_duration: null }),
  'lease in words': auth({ ...good, lease_duration: '3600' }),
};

/** A real token in an unusual reply. */
const ODDITIES: Readonly<Record<string, Record<string, unknown>>> = {
  'lease 0': { lease_duration: 0 },
  'endless lease': { lease_duration: 1e18 },
  'lease in fractions': { lease_duration: 86_400.5 },
  'three uses': { num_uses: 3 },
  'not renewable': { renewable: false },
  batch: { token_type: 'batch', renewable: false, accessor: '' },
  'no policies': { policies: null, token_policies: 7 },
  'odd types': { accessor: 12, token_type: null, num_uses: '3' },
};

const vaultOf = (life: Life, { args }: Fault) => {
  const vault = life.vaults[Number(args['vault'])];
  if (vault === undefined) throw new Error(`no Vault ${args['vault']}`);
  return vault;
};

const pickVault = (chance: Chance, { exchanges, vaults }: Setup) => {
  const used = chance.pick(exchanges).vault.address;
  return { vault: vaults.findIndex(({ address }) => address === used) };
};

/**
 * Affects the exchanges of the Vault. A token may expire during the fault if the fault lasts longer than the rest of a
 * lease at its renewal; if the maximum TTL cuts leases short, that rest may be zero.
 */
function touching(life: Life, fault: Fault, how: { upsets?: boolean; recoveryMs: number; end?: () => void }): Ongoing {
  const vault = vaultOf(life, fault);
  return {
    upsets:
      fault.forMs + 400 * SECOND > 0.3 * vault.ttlMs || (vault.tokenType === 'service' && !life.family.renews(vault)),
    touches: (exchange) => life.family.usesVault(exchange, vault.address),
    ...how,
  };
}

function withTrouble(trouble: Trouble, recoveryMs: number, upsets?: (life: Life, fault: Fault) => boolean) {
  return (life: Life, fault: Fault): Ongoing => {
    const { troubles } = vaultOf(life, fault);
    troubles.push(trouble);
    const end = () => void troubles.splice(troubles.indexOf(trouble), 1);
    return touching(life, fault, { recoveryMs, end, ...(upsets && { upsets: upsets(life, fault) }) });
  };
}

/** A kind of fault that answers certain operations with a reply from the table. */
function answering(
  table: Readonly<Record<string, RawReply>>,
  operations: readonly Operation[] | undefined,
  upsets?: (life: Life, fault: Fault) => boolean,
): Kind {
  return {
    lasts: [10 * SECOND, 6 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), with: chance.pick(Object.keys(table)) }),
    begin(life, fault) {
      const reply = table[fault.args['with'] as string] as RawReply;
      const trouble = { ...(operations && { operations }), reply: () => reply };
      return withTrouble(trouble, SLOW_MS, upsets)(life, fault);
    },
  };
}

/** Whether only logins keep a token alive. */
const needsLogins = (life: Life, fault: Fault): boolean => !life.family.renews(vaultOf(life, fault));

/** Handles the request as Vault does, and echoes the request's secrets in the reply. */
function echo({ request, honest, operation }: ArrivedCall, where: string): RawReply {
  const sent = request.token?.reveal() ?? request.body?.reveal() ?? '';
  if (where === 'error')
    return errors(operation === 'login' ? 400 : 500, `could not handle ${sent} (${sent.slice(0, 4000)})`);
  const reply = honest();
  if (reply.status !== 200) return reply;
  const answer = JSON.parse(reply.body);
  return replyOf(200, { ...answer, warnings: [`request ${sent} gave ${answer.auth?.client_token}`] });
}

export const VAULT_FAULTS: Readonly<Record<string, Kind>> = {
  'vault unreachable': {
    lasts: [10 * SECOND, 30 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), code: chance.pick(UNREACHABLE) }),
    begin: (life, fault) => withTrouble({ network: String(fault.args['code']) }, SLOW_MS)(life, fault),
  },
  'vault refuses': answering(REFUSALS, undefined),
  'vault limits the rate': {
    lasts: [10 * SECOND, 3 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), after: chance.pick(RETRY_AFTER) }),
    begin(life, fault) {
      const reply = errors(429, 'request path "auth/jwt/login": rate limit quota exceeded', {
        'retry-after': String(fault.args['after']),
      });
      return withTrouble({ reply: () => reply }, SLOW_MS)(life, fault);
    },
  },
  'vault refuses logins': answering(LOGIN_REFUSALS, ['login'], needsLogins),
  'vault refuses renewals': answering(RENEWAL_REFUSALS, ['renew'], () => false),
  'vault answers with malformed replies': answering(LIES, undefined),
  'vault answers renewals with malformed replies': answering(LIES, ['renew'], () => false),
  'vault grants tokens in unusual replies': {
    lasts: [MINUTE, 6 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), with: chance.pick(Object.keys(ODDITIES)) }),
    begin(life, fault) {
      const told = ODDITIES[fault.args['with'] as string] ?? {};
      // an exchange that holds an endless lease doesn't look for another token, even if Vault forgets this one later
      if (fault.args['with'] === 'endless lease') life.excuseIdentityExchanges(Number.POSITIVE_INFINITY);
      const reply = ({ honest }: ArrivedCall) => {
        const answer = honest();
        if (answer.status !== 200) return answer;
        return vaultOf(life, fault).grantAnew(JSON.parse(answer.body).auth.client_token, told);
      };
      return withTrouble({ operations: ['login', 'renew'], reply }, SLOW_MS)(life, fault);
    },
  },
  'vault gives the same token again': {
    lasts: [MINUTE, 6 * HOUR],
    draw: pickVault,
    begin(life, fault) {
      const vault = vaultOf(life, fault);
      const reply = ({ request, honest }: ArrivedCall) => {
        const role = JSON.parse(request.body?.reveal() ?? '{}').role;
        const known = [...life.ledger.tokens].findLast(([, token]) => token.vault === vault && token.role === role);
        return known !== undefined && known[1].expiresAt > life.time.now ? vault.grantAnew(known[0]) : honest();
      };
      return withTrouble({ operations: ['login'], reply }, SOON_MS)(life, fault);
    },
  },
  'vault echoes secrets': {
    lasts: [MINUTE, 2 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), in: chance.pick(['error', 'warning']) }),
    begin(life, fault) {
      const where = String(fault.args['in']);
      const trouble = { operations: ['login', 'renew'] as const, reply: (call: ArrivedCall) => echo(call, where) };
      return withTrouble(trouble, SLOW_MS)(life, fault);
    },
  },
  'vault forgets every token': {
    lasts: [SECOND, SECOND],
    draw: pickVault,
    begin(life, fault) {
      const vault = vaultOf(life, fault);
      vault.forget();
      life.shake(life.names().filter((name) => life.family.usesVault(name, vault.address)));
      // the exchange notices at its next renewal; until then Vault grants it no identity tokens
      life.excuseIdentityExchanges(vault.ttlMs);
      return { touches: () => false, upsets: false, recoveryMs: 0 };
    },
  },
  'vault is slow': {
    lasts: [MINUTE, 6 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), ms: chance.spread(500, 14_000) }),
    begin: (life, fault) => withTrouble({ latencyMs: Number(fault.args['ms']) }, SOON_MS)(life, fault),
  },
  'vault is too slow': {
    lasts: [MINUTE, 6 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), ms: chance.spread(16_000, 120_000) }),
    begin: (life, fault) => withTrouble({ latencyMs: Number(fault.args['ms']) }, SOON_MS)(life, fault),
  },
  "vault's replies are lost": {
    lasts: [10 * SECOND, 6 * HOUR],
    draw: pickVault,
    begin: withTrouble({ isDeaf: true }, SOON_MS),
  },
  'a third of all calls is lost': {
    lasts: [MINUTE, 6 * HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), code: chance.pick(['silent', 'ECONNRESET']) }),
    begin(life, fault) {
      // D16: with half an hour for retries, no token expires
      const upsets = vaultOf(life, fault).ttlMs < HOUR;
      return withTrouble({ network: String(fault.args['code']), share: 0.3 }, SOON_MS, () => upsets)(life, fault);
    },
  },
  "vault's clock is off": {
    lasts: [MINUTE, 12 * HOUR],
    draw: (chance, setup) => ({
      ...pickVault(chance, setup),
      ms: chance.pick([-1, 1]) * chance.spread(SECOND, 5 * MINUTE),
    }),
    begin(life, fault) {
      const vault = vaultOf(life, fault);
      vault.clockOffsetMs += Number(fault.args['ms']);
      const end = () => {
        vault.clockOffsetMs -= Number(fault.args['ms']);
      };
      return touching(life, fault, { recoveryMs: SLOW_MS, end, upsets: needsLogins(life, fault) });
    },
  },
  'leases are short': {
    lasts: [10 * SECOND, HOUR],
    draw: (chance, setup) => ({ ...pickVault(chance, setup), ms: chance.pick([1, 2, 5, 20, 60]) * SECOND }),
    begin(life, fault) {
      const vault = vaultOf(life, fault);
      vault.ttlMs = Number(fault.args['ms']);
      const end = () => {
        vault.ttlMs = life.plan.setup.vaults[Number(fault.args['vault'])]?.ttlMs ?? HOUR;
      };
      return touching(life, fault, { recoveryMs: SOON_MS, end, upsets: true });
    },
  },
};
