// Reads what the network layer throws into a failure of ours, by error codes alone: messages may quote content.

import { ExchangeError } from '../core/errors.ts';

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EHOSTDOWN',
  'EACCES',
  'EPERM',
]);
const NAME_UNKNOWN = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ESERVFAIL',
  'ENODATA',
]);
const TIMEOUT = new Set(['ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const TOO_LARGE = new Set(['UND_ERR_RES_EXCEEDED_MAX_SIZE', 'UND_ERR_HEADERS_OVERFLOW', 'HPE_HEADER_OVERFLOW']);
const PROXY = new Set(['UND_ERR_PRX_TLS', 'UND_ERR_PROXY']);

/** Node's names for what is wrong with a certificate (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const CERTIFICATE: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'signed by an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT: 'signed by an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'signed by an unknown CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'signed by an unknown CA',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not yet valid',
  CERT_REVOKED: 'revoked',
  CERT_UNTRUSTED: 'not trusted',
  INVALID_CA: 'its CA is no CA',
  INVALID_PURPOSE: 'not made for a server',
  ERR_TLS_CERT_ALTNAME_INVALID: 'made out to another name',
};

/** The fields of a network error that can be shown: none of them carries what was sent or received. */
interface NetworkError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly address?: unknown;
  readonly port?: unknown;
  readonly hostname?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly errors?: unknown;
}

/** @param thrown whatever a request rejected with */
export function networkFailure(thrown: unknown): ExchangeError {
  if (thrown instanceof ExchangeError) return thrown;
  const chain = unfold(thrown);
  for (const error of chain) {
    // undici's parser has a code for most of what it can't read, but not for all
    const code = error.name === 'HTTPParserError' ? 'HPE_INVALID' : String(error.code);
    const found = readCode(code, error);
    if (found !== undefined) return found;
  }
  const codes = [...new Set(chain.map(({ code }) => code).filter((code) => typeof code === 'string'))];
  return new ExchangeError('vault_connection_lost', codes.join(', ') || 'unknown network error');
}

function readCode(code: string, error: NetworkError): ExchangeError | undefined {
  if (UNREACHABLE.has(code)) return new ExchangeError('vault_unreachable', describe(code, error));
  if (NAME_UNKNOWN.has(code)) return new ExchangeError('vault_name_unknown', describe(code, error));
  if (TIMEOUT.has(code)) return new ExchangeError('vault_timeout', describe(code, error));
  if (TOO_LARGE.has(code)) return new ExchangeError('bad_response', 'larger than any reply of Vault');
  if (PROXY.has(code)) return new ExchangeError('vault_proxy', code);
  // a refused CONNECT has undici's code for all that it breaks off: the status stands in its message alone
  const refusal = code === 'UND_ERR_ABORTED' ? /^Proxy response \((\d{3})\)/.exec(String(error.message)) : null;
  if (refusal !== null) return new ExchangeError('vault_proxy', `it answered with status ${refusal[1]}`);
  const certificate = CERTIFICATE[code];
  if (certificate !== undefined) return new ExchangeError('vault_tls', `the certificate is ${certificate} (${code})`);
  // an alert from the other side: it wants a client certificate, or no protocol is common to both
  if (/^ERR_SSL_.*(ALERT|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS|VERSION_TOO_LOW)/.test(code))
    return new ExchangeError('vault_tls', code);
  if (code === 'EPROTO' || /^(ERR_SSL_|HPE_)/.test(code)) return new ExchangeError('vault_not_http', code);
  return undefined;
}

function describe(code: string, { syscall, address, port, hostname }: NetworkError): string {
  const where = typeof address === 'string' ? `${address}:${port}` : hostname;
  return [syscall, code, where].filter((part) => typeof part === 'string').join(' ');
}

/** The error, its causes, and the members of its aggregates, outermost first. */
function unfold(thrown: unknown, depth = 0): NetworkError[] {
  if (typeof thrown !== 'object' || thrown === null || depth > 5) return [];
  const error: NetworkError = thrown;
  const inner = [error.cause, ...(Array.isArray(error.errors) ? error.errors : [])];
  return [error, ...inner.flatMap((one) => unfold(one, depth + 1))];
}
