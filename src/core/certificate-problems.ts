// What Node's codes of certificate errors mean.

/** Node's codes of certificate errors: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
export const CERTIFICATE_PROBLEMS = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'signed by an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT: 'signed by an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'signed by an unknown CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'signed by an unknown CA',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  CERT_SIGNATURE_FAILURE: 'not validly signed',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not yet valid',
  CERT_REVOKED: 'revoked',
  CERT_UNTRUSTED: 'not trusted',
  INVALID_CA: 'signed by a certificate that is not a CA',
  INVALID_PURPOSE: 'not valid for a server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'issued for another name',
} as const;

export const isCertificateProblem = (code: string): code is keyof typeof CERTIFICATE_PROBLEMS =>
  Object.hasOwn(CERTIFICATE_PROBLEMS, code);
