// Findings on the workload JWT and its file.

import { explain, type Failure } from '../../core/errors.ts';
import { isExpired, isStale } from '../../core/workload-jwt.ts';
import type { Evidence } from './evidence.ts';
import { type Observation, toFinding, type UnfoldedFinding } from './finding.ts';
import { ago, lifeLeft, lifeOf } from './life.ts';

const DAY_MS = 86_400_000;

export function jwtFindings(evidence: Evidence): UnfoldedFinding[] {
  const { jwt, file, login, wall } = evidence;
  const findings: UnfoldedFinding[] = [];
  if (jwt?.failure !== undefined) findings.push(toFinding(withOwner(jwt.failure, evidence), evidence));
  if (file?.isMount)
    findings.push(
      toFinding({ code: 'jwt_never_changes', evidence: file.path, severity: frozenFileSeverity(evidence) }, evidence),
    );
  if (jwt?.seen === undefined) return findings;
  if (isStale(jwt.seen, wall)) {
    const code = login?.seen !== undefined && isExpired(jwt.seen, wall) ? 'jwt_in_leeway' : 'jwt_unrotated';
    const changed = file === undefined ? '' : `; the file last changed ${ago(wall - file.modifiedAt)} ago`;
    findings.push(
      toFinding({ code, evidence: `${lifeLeft(jwt.seen.expiresAt, wall)}${changed}`, severity: 'warning' }, evidence),
    );
  }
  const life = lifeOf(evidence);
  if (life !== undefined && life > DAY_MS)
    findings.push(
      toFinding({ code: 'jwt_long_lived', evidence: `it is valid for ${ago(life)}`, severity: 'warning' }, evidence),
    );
  return findings;
}

/** A file that never changes is an error once its JWT has expired. */
function frozenFileSeverity({ jwt, wall }: Evidence): 'error' | 'warning' {
  return jwt?.seen !== undefined && isExpired(jwt.seen, wall) ? 'error' : 'warning';
}

function withOwner(failure: Failure, { file, self }: Evidence): Observation {
  if (failure.code !== 'jwt_unreadable' || file === undefined) return failure;
  return { ...failure, evidence: `${explain(failure).evidence}; its owner is ${file.owner}; doctor runs as ${self}` };
}
