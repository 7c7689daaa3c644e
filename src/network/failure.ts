// Maps errors of the network layer to failures by their codes. Their messages may quote secrets and are never shown.

import { isCertificateProblem } from '../core/certificate-problems.ts';
import { type ErrorCode, ExchangeError } from '../core/errors.ts';
import type { Facts } from '../core/facts.ts';

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

/** The fields of a network error that are read here. `message` may quote secrets and is never shown. */
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

/** Returns the failure for a rejected request. */
export function networkFailure(thrown: unknown): ExchangeError {
  if (thrown instanceof ExchangeError) return thrown;
  const chain = unfold(thrown);
  for (const error of chain) {
    // undici doesn't set a code on every HTTPParserError
    const code = error.name === 'HTTPParserError' ? 'HPE_INVALID' : String(error.code);
    const found = readCode(code, error);
    if (found !== undefined) return found;
  }
  const codes = [...new Set(chain.map(({ code }) => code).filter((code) => typeof code === 'string'))];
  return new ExchangeError('vault_connection_lost', { kind: 'network', codes });
}

function readCode(code: string, error: NetworkError): ExchangeError | undefined {
  const failure = (result: ErrorCode) => new ExchangeError(result, networkFacts(code, error));
  if (UNREACHABLE.has(code)) return failure('vault_unreachable');
  if (NAME_UNKNOWN.has(code)) return failure('vault_name_unknown');
  if (TIMEOUT.has(code)) return failure('vault_timeout');
  if (TOO_LARGE.has(code)) return new ExchangeError('bad_response', { kind: 'reply-unusable', problem: 'too-large' });
  if (PROXY.has(code)) return failure('vault_proxy');
  // undici reports a refused CONNECT as UND_ERR_ABORTED: only the message contains the proxy's status
  const refusal = code === 'UND_ERR_ABORTED' ? /^Proxy response \((\d{3})\)/.exec(String(error.message)) : null;
  if (refusal !== null) return new ExchangeError('vault_proxy', { kind: 'proxy-reply', status: Number(refusal[1]) });
  if (isCertificateProblem(code)) return new ExchangeError('vault_tls', { kind: 'certificate', code });
  // a TLS alert: Vault requires a client certificate, or there is no common TLS version
  if (/^ERR_SSL_.*(ALERT|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS|VERSION_TOO_LOW)/.test(code)) return failure('vault_tls');
  if (code === 'EPROTO' || /^(ERR_SSL_|HPE_)/.test(code)) return failure('vault_not_http');
  return undefined;
}

function networkFacts(code: string, { syscall, address, port, hostname }: NetworkError): Facts {
  const peer = typeof address === 'string' ? `${address}:${port}` : hostname;
  return {
    kind: 'network',
    codes: [code],
    ...(typeof syscall === 'string' ? { syscall } : {}),
    ...(typeof peer === 'string' ? { peer } : {}),
  };
}

/** Returns the error, its causes, and the members of each AggregateError, outermost first. */
function unfold(thrown: unknown, depth = 0): NetworkError[] {
  if (typeof thrown !== 'object' || thrown === null || depth > 5) return [];
  const error: NetworkError = thrown;
  const inner = [error.cause, ...(Array.isArray(error.errors) ? error.errors : [])];
  return [error, ...inner.flatMap((one) => unfold(one, depth + 1))];
}
