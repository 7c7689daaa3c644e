// Workload JWTs with a fake signature, for tests that don't verify them.

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** @param claims merged over a Kubernetes-like default; `iat` and `exp` are epoch seconds */
export function jwtText(claims: Record<string, unknown> = {}, signature = 'c2lnbmF0dXJl'): string {
  const defaults = { iss: 'https://k8s-prod.oidc.pub', aud: ['vault'], sub: 'system:serviceaccount:default:app' };
  return `${encode({ alg: 'ES256', kid: 'k1' })}.${encode({ ...defaults, ...claims })}.${signature}`;
}
