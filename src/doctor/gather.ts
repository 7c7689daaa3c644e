// Gathers the evidence on one exchange, with the daemon's own source, client and sinks. A failed check is
// evidence too, as is one that throws or times out, and doesn't stop the gathering.

import { defined } from '../core/defined.ts';
import { type ErrorCode, entryOf, explain, isFailure, unlessFailure } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { ExchangeSettings, SetupSettings, VaultSettings } from '../core/settings.ts';
import { type Grant, judgeGrant, loginRequest, renewalRequest, revocationRequest } from '../core/vault-protocol.ts';
import { decodeWorkloadJwt, readJwt } from '../core/workload-jwt.ts';
import { withCorrelationIds } from '../exchange/correlation.ts';
import { changesOf } from '../setup/diff.ts';
import { openOperatorClient } from '../setup/operator-client.ts';
import { planProvision } from '../setup/plan.ts';
import { readCurrent } from '../setup/read-current.ts';
import { openSink } from '../sinks/open-sink.ts';
import { openSource } from '../sources/open-source.ts';
import { openVaultClient, type VaultClient } from '../vault/client.ts';
import { openChecks } from './checks.ts';
import type { Evidence } from './diagnose/evidence.ts';
import { HEALTH_REQUEST, judgeHealth } from './diagnose/vault-health.ts';
import { readCertificate } from './probes/certificate.ts';
import { inspectHeldTokens, lookUp } from './probes/held-token.ts';
import { inspectIssuer } from './probes/issuer.ts';
import { inspectFile } from './probes/jwt-file.ts';
import { probeMount } from './probes/mount.ts';
import { ownAddressTowards } from './probes/own-address.ts';
import { lookAround } from './probes/vault-names.ts';
import { seen } from './seen.ts';

export interface Gathering {
  /** Returns the evidence gathered so far. */
  evidence(): Evidence;
  /** the Vault token of the login, for exchanges whose source uses it; undefined if the login failed */
  readonly token: Promise<Secret | undefined>;
  /** Resolves when all checks have ended; never rejects. */
  readonly done: Promise<void>;
  /** Revokes the token and closes the client. */
  close(): Promise<void>;
}

export interface GatheringTools {
  readonly setup: SetupSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly operatorToken: Promise<Secret | undefined>;
  /** Resolves to the token of another exchange once that has logged in. */
  readonly tokenOf: (exchange: string) => Promise<Secret | undefined>;
  /** Resolves to the token that a running sidecar serves for the exchange, if any. */
  readonly servedToken: (exchange: string) => Promise<Secret | undefined>;
  /** allows fetching the issuer's documents from hosts that the config doesn't name */
  readonly fetchIssuer: boolean;
  /** returns a new id for a call to Vault */
  readonly nextCorrelationId: () => string;
}

type Draft = { -readonly [Member in keyof Evidence]: Evidence[Member] };

/** The tools and the draft that the checks of one gathering share. */
interface Gatherer {
  readonly settings: ExchangeSettings;
  readonly tools: GatheringTools;
  readonly client: VaultClient;
  readonly draft: Draft;
}

/** The timeout of a call: a hanging call must leave time for the other checks. */
const CALL_MS = 5000;

const quick = (vault: VaultSettings): VaultSettings => ({ ...vault, timeoutMs: Math.min(vault.timeoutMs, CALL_MS) });

const openClient = (vault: VaultSettings, { nextCorrelationId }: GatheringTools): VaultClient =>
  withCorrelationIds(openVaultClient(quick(vault)), nextCorrelationId);

export function gather(settings: ExchangeSettings, tools: GatheringTools): Gathering {
  const client = openClient(settings.vault, tools);
  const self = `${process.geteuid?.()}:${process.getegid?.()}`;
  const draft: Draft = { settings, setup: tools.setup, wall: Date.now(), self, sinks: [] };
  const gatherer: Gatherer = { settings, tools, client, draft };
  const reading = readWorkloadJwt(gatherer);
  // Checks that depend on a failed check run without its result.
  const jwt = reading.catch(() => undefined);
  const loggingIn = jwt.then((text) => (text === undefined ? undefined : logIn(gatherer, text)));
  const grant = loggingIn.catch(() => undefined);
  const checks = openChecks();
  const done = Promise.all([
    checks.run("the workload JWT's file", () => inspectSource(gatherer)),
    checks.run('the workload JWT', () => reading),
    checks.run('the login', () => loggingIn),
    checks.run('the own address', async () => {
      await grant;
      if (draft.login?.failure?.code === 'login_forbidden')
        draft.ownAddress = await ownAddressTowards(settings.vault, CALL_MS);
    }),
    checks.run("the token's rights", async () => {
      const granted = await grant;
      if (granted !== undefined) await tryRights(gatherer, granted);
    }),
    checks.run('the tokens that the sidecar delivered', async () => {
      if (((await grant)?.numUses ?? 0) !== 0) return;
      draft.held = await inspectHeldTokens(settings, client, await tools.servedToken(settings.name));
    }),
    checks.run('the issuer', async () => {
      const text = await jwt;
      const { setup, fetchIssuer } = tools;
      if (text !== undefined)
        draft.issuer = await inspectIssuer(text, setup.trust, { timeoutMs: CALL_MS, fetchIssuer });
    }),
    checks.run('Vault', () => inspectVault(gatherer)),
    checks.run('the sinks', () => inspectSinks(gatherer)),
    checks.run("Vault's side", async () => {
      const token = await tools.operatorToken;
      if (token === undefined) return;
      const operatorClient = openOperatorClient(quick(settings.vault), tools.nextCorrelationId);
      const asOperator = { client: operatorClient, token, login: settings.login };
      try {
        await inspectSetup(gatherer, asOperator);
        const policies = (await grant)?.policies ?? [];
        draft.existing = await lookAround(asOperator, { ...draft, policies });
      } finally {
        await operatorClient.close();
      }
    }),
  ]).then(() => {});
  return {
    evidence: () => ({ ...draft, broken: checks.broken(), unfinished: checks.unfinished() }),
    token: grant.then((granted) => granted?.secret),
    done,
    async close() {
      const held = draft.login?.seen;
      if (held !== undefined && held.type !== 'batch')
        await client.send(revocationRequest(settings.login, held.secret)).catch(() => {});
      await client.close();
    },
  };
}

async function inspectSource({ settings: { source }, draft }: Gatherer): Promise<void> {
  if (source.kind === 'file') draft.file = await inspectFile(source.path);
}

/** @returns undefined if there is no JWT, or the daemon wouldn't use it */
async function readWorkloadJwt({ settings, tools, draft }: Gatherer): Promise<Secret | undefined> {
  const { source } = settings;
  const asking =
    source.kind === 'vault-identity' && 'exchange' in source.token
      ? await tools.tokenOf(source.token.exchange)
      : undefined;
  const opened = openSource(source, {
    env: tools.env,
    openVault: (vault) => openClient(vault, tools),
    onHint() {},
    tokenOf: () => asking,
  });
  const read = await seen(() => opened.read()).finally(() => opened.close());
  if (read.seen === undefined) {
    draft.jwt = read;
    return undefined;
  }
  const outcome = decodeWorkloadJwt(read.seen, settings.expect);
  draft.jwt = isFailure(outcome) ? { failure: outcome } : { seen: outcome };
  draft.claims = readJwt(read.seen)?.claims;
  return isFailure(outcome) ? undefined : read.seen;
}

async function logIn({ settings, client, draft }: Gatherer, jwt: Secret): Promise<Grant | undefined> {
  draft.login = await seen(async () =>
    unlessFailure(judgeGrant('login', await client.send(loginRequest(settings.login, jwt)), [jwt])),
  );
  return draft.login.seen;
}

async function tryRights({ settings: { login }, client, draft }: Gatherer, { secret }: Grant): Promise<void> {
  const tryRenewal = async () => {
    unlessFailure(judgeGrant('renew', await client.send(renewalRequest(login, secret)), [secret]));
    return true as const;
  };
  [draft.lookup, draft.renewal] = await Promise.all([lookUp(client, login, secret), seen(tryRenewal)]);
}

async function inspectVault({ settings, client, draft }: Gatherer): Promise<void> {
  draft.health = await seen(async () => {
    const reply = await client.send(HEALTH_REQUEST);
    return unlessFailure(judgeHealth(reply, Date.now()));
  });
  const isPlain = settings.vault.address.startsWith('http:');
  if ((isPlain ? OF_TLS_SERVERS : REFUSED_CERTIFICATE).has(draft.health.failure?.code ?? 'internal'))
    draft.certificate = await readCertificate(settings.vault, CALL_MS);
  if (draft.health.seen !== undefined) draft.mount = await probeMount(client, settings);
}

/** The failures of plain HTTP requests to a TLS server: it closes the connection, or answers with an error page. */
const OF_TLS_SERVERS: ReadonlySet<ErrorCode> = new Set(['vault_not_http', 'vault_connection_lost', 'bad_response']);
const REFUSED_CERTIFICATE: ReadonlySet<ErrorCode> = new Set(['vault_tls']);

async function inspectSinks({ settings: { sinks }, draft }: Gatherer): Promise<void> {
  draft.sinks = await Promise.all(
    sinks.map(openSink).map(async (sink) => {
      const { failure } = await seen(() => sink.check());
      return { id: sink.id, ...defined({ failure }) };
    }),
  );
}

/** Compares the setup with Vault. */
async function inspectSetup(
  { settings, tools, draft }: Gatherer,
  { client, token }: { readonly client: VaultClient; readonly token: Secret },
): Promise<void> {
  const { setup } = tools;
  const { steps, problems } = planProvision([{ ...settings, setup }]);
  const isPlanned = setup.stated && problems.length === 0;
  const readings = await Promise.all(
    steps.map(async (step) => ({ step, read: await seen(() => readCurrent(step, client, token)) })),
  );
  draft.differences = readings.flatMap(({ step, read }) => {
    if (read.failure !== undefined) return [];
    return [{ step, current: read.seen, changes: isPlanned ? changesOf(step, read.seen) : [] }];
  });
  draft.unread = readings.flatMap(({ read: { failure } }) =>
    failure !== undefined && entryOf(failure).area === 'setup' ? [explain(failure).evidence ?? failure.code] : [],
  );
}
