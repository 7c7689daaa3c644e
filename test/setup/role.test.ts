// The members of setup.role beyond its bounds: what is printed, applied and warned of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setUp } from './set-up.ts';

const ROLE = {
  token_policies: ['app-read'],
  token_period: '90m',
  token_type: 'service',
  claim_mappings: { team: 'team', '/a/b': 'b' },
  groups_claim: 'groups',
  // as Vault returns them: 10.0.0.1 and fd00::/8
  token_bound_cidrs: ['127.0.0.0/8', '10.0.0.1/32', 'FD00:0::/8'],
};

test('prints, applies and keeps token_period, token_type, claim_mappings, groups_claim and token_bound_cidrs', async (t) => {
  const { run, write, admin } = await setUp(t, { setup: { role: ROLE } });
  const json = /'(\{[\s\S]*\})' \|\n {2}vault write auth\/jwt\/role\/app -$/.exec((await run()).out)?.[1] ?? '';
  const expected = {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    bound_subject: 'app',
    claim_mappings: { team: 'team', '/a/b': 'b' },
    groups_claim: 'groups',
    token_policies: ['app-read'],
    token_ttl: 3600,
    token_period: 5400,
    token_type: 'service',
    token_bound_cidrs: ['127.0.0.0/8', '10.0.0.1', 'fd00::/8'],
  };
  assert.deepEqual(JSON.parse(json), expected);
  const hcl = (await run({ hcl: true })).out;
  assert.match(hcl, /^ {2}claim_mappings {4}= \{ "team" = "team", "\/a\/b" = "b" \}$/m);
  assert.match(hcl, /^ {2}token_bound_cidrs = \["127\.0\.0\.0\/8", "10\.0\.0\.1", "fd00::\/8"\]$/m);
  const applied = await run({ apply: true, yes: true });
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.out, /^ {11}claim_mappings {5}\{"\/a\/b":\["b"\],"team":\["team"\]\}$/m);
  const role = async () => (await admin.call('GET', 'auth/jwt/role/app')).body['data'] as Record<string, unknown>;
  const written = await role();
  for (const [member, value] of Object.entries(expected)) assert.deepEqual(written[member], value, member);
  assert.match((await run({ apply: true, yes: true })).out, /nothing to change$/);
  // an empty list or map unsets the member, and a missing one is kept
  await write({ setup: { role: { ...ROLE, token_bound_cidrs: [], claim_mappings: {}, groups_claim: undefined } } });
  assert.match((await run({ apply: true, yes: true })).out, /token_bound_cidrs {2}.* -> unset$/m);
  const { token_bound_cidrs, claim_mappings, groups_claim } = await role();
  assert.deepEqual([token_bound_cidrs, claim_mappings, groups_claim], [[], {}, 'groups']);
});

test('prints token_period as a duration, as Vault users write it', async (t) => {
  const { run } = await setUp(t, {
    setup: { role: { token_period: '90m', token_type: 'service', token_bound_cidrs: ['127.0.0.1', '::1'] } },
  });
  assert.match(
    (await run()).out,
    / \\\n {4}token_period=90m \\\n {4}token_type=service \\\n {4}token_bound_cidrs=127\.0\.0\.1,::1$/,
  );
});

test('refuses members that Vault refuses or misreads, with their keys', async (t) => {
  const { run, write } = await setUp(t);
  for (const [role, problem] of [
    [
      { token_type: 'batch', token_period: '1h' },
      "token_period: must not be set with token_type batch: batch tokens can't be renewed",
    ],
    [{ token_type: 'default-batch' }, 'token_type: must be one of "default", "service", "batch"'],
    // Vault takes these for the path of a UNIX socket, and no client matches
    ...['10.0.0.0/33', 'fd00::/129'].map((cidr) => [{ token_bound_cidrs: ['::1', cidr] }, CIDR] as const),
    ...['10.0.0.0/8/8', '010.0.0.1', '10.1', 'host', 'g::1', '::ffff:1.2.3.4', '10.0.0.0/x', '1.2.3.4/'].map(
      (cidr) => [{ token_bound_cidrs: ['::1', cidr] }, CIDR] as const,
    ),
  ] as const) {
    await write({ setup: { role } });
    const { code, err } = await run();
    assert.deepEqual([code, err], [2, `config.json: exchanges.app.setup.role.${problem}`], JSON.stringify(role));
  }
});

const CIDR = 'token_bound_cidrs[1]: must be an IP address or a range, such as 10.0.0.0/8';

test('warns of a token that lives without a JWT, and of addresses that are no bound', async (t) => {
  const { run, write } = await setUp(t);
  const warningsOf = async (role: Record<string, unknown>) => {
    await write({ setup: { role: { token_policies: ['p'], ...role } } });
    return (await run()).err;
  };
  const period = 'warning: exchange app: with token_period, a token can be renewed indefinitely without a JWT';
  assert.equal(await warningsOf({ token_period: '10m' }), period);
  assert.equal(await warningsOf({ token_period: '10m', token_max_ttl: '1h' }), `${period}, despite token_max_ttl`);
  // token_period replaces token_ttl
  assert.equal(await warningsOf({ token_period: '10m', token_ttl: '9h' }), period);
  for (const any of ['0.0.0.0/0', '::/0', '10.0.0.0/0'])
    assert.match(
      await warningsOf({ token_bound_cidrs: ['10.0.0.0/8', any] }),
      new RegExp(`token_bound_cidrs: ${any} `),
    );
  assert.equal(await warningsOf({ token_type: 'batch', token_bound_cidrs: ['10.0.0.0/8', '::1'] }), '');
});
