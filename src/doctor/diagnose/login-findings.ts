// Findings on a refused login.

import type { Failure } from '../../core/errors.ts';
import { withoutControls } from '../../core/secret.ts';
import { bothSides } from './both-sides.ts';
import { currentOf, type Evidence } from './evidence.ts';
import { evidenceLineOf, toFinding, type UnfoldedFinding } from './finding.ts';
import { ISSUER_RELATED } from './issuer-findings.ts';
import { withMounts, withRoles } from './name-findings.ts';
import { isMountProblem, MOUNT_RELATED } from './vault-findings.ts';

export function loginFindings(evidence: Evidence): UnfoldedFinding[] {
  const { login, mount, issuer } = evidence;
  const failure = login?.failure;
  const isVaultProblem = failure?.code.startsWith('vault_') && !isMountProblem(evidence);
  if (failure === undefined || isVaultProblem) return [];
  if (MOUNT_RELATED.has(failure.code) && mount?.answers === false)
    return [withMounts(missingMount(failure, evidence), evidence)];
  if (failure.code === 'login_forbidden' && mount?.answers === true) {
    const refused = refusedAddress(failure, evidence);
    if (refused !== undefined) return [refused];
  }
  const isVerifiedHere = issuer?.state === 'verified' && ISSUER_RELATED.has(failure.code);
  const words = `${evidenceLineOf(failure)}${bothSides(failure, evidence)}`;
  const finding = toFinding(
    { ...failure, evidence: isVerifiedHere ? `${words}; from this machine, the issuer's keys verify the JWT` : words },
    evidence,
  );
  if (failure.code === 'role_missing') return [withRoles(finding, evidence)];
  return [isVerifiedHere && failure.code === 'signature_invalid' ? { ...finding, remedy: OTHER_KEYS } : finding];
}

/** At a mount that answers, only token_bound_cidrs of the role forbids a login. @returns undefined if the role has none */
function refusedAddress(failure: Failure, evidence: Evidence): UnfoldedFinding | undefined {
  const role = currentOf(evidence, 'role');
  const cidrs = [role?.['token_bound_cidrs'] ?? []].flat().map(String);
  if (role !== undefined && cidrs.length === 0) return undefined;
  const bound =
    role === undefined
      ? "the mount answers, so the role's token_bound_cidrs exclude the address"
      : `the role's token_bound_cidrs are ${cidrs.join(' ')}`;
  const { ownAddress } = evidence;
  const own = ownAddress === undefined ? '' : `; this machine connects from ${ownAddress}`;
  const words = `${evidenceLineOf(failure)}; ${bound}${own}`;
  return toFinding({ code: 'address_refused', evidence: words }, evidence);
}

const OTHER_KEYS =
  "Point the mount at this issuer, or give the exchange a mount of its own if other workloads use this one: the mount trusts another issuer's keys.";

function missingMount(failure: Failure, evidence: Evidence): UnfoldedFinding {
  const { settings, mount } = evidence;
  const { elsewhere } = mount ?? {};
  const type = currentOf(evidence, 'mount')?.['type'];
  const place = `auth/${settings.login.mount}${namespaceSuffix(settings.login.namespace)}`;
  const looked = type === undefined ? `no JWT auth method answers at ${place}` : `${place} is of type ${type}`;
  const finding = toFinding({ code: 'mount_missing', evidence: `${evidenceLineOf(failure)}; ${looked}` }, evidence);
  const { command: _, ...rest } = finding;
  if (elsewhere === undefined) return type === undefined ? finding : { ...rest, remedy: OTHER_MOUNT };
  const namespace = elsewhere.namespace === '' ? 'no namespace' : `namespace ${elsewhere.namespace}`;
  return {
    ...rest,
    remedy: withoutControls(
      `Correct login.mount and login.namespace: a JWT auth method answers at mount ${elsewhere.mount} with ${namespace}.`,
    ),
  };
}

const OTHER_MOUNT = 'Correct login.mount, or enable a JWT auth method at another path.';

const namespaceSuffix = (namespace: string | undefined): string =>
  namespace === undefined ? '' : ` in namespace ${namespace}`;
