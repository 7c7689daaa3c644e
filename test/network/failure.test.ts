// What each error of the network layer is read as, by its code alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExchangeError, explain } from '../../src/core/errors.ts';
import { networkFailure } from '../../src/network/failure.ts';

function read(thrown: unknown): string {
  const { code, evidence } = explain(networkFailure(thrown).failure);
  return `${code}: ${evidence}`;
}
const withCode = (code: string) => read({ code });

test('a code says what went wrong, and where as far as it is known', () => {
  assert.equal(
    read({ code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1', port: 8200, hostname: 'vault' }),
    'vault_unreachable: connect ECONNREFUSED 10.0.0.1:8200',
  );
  assert.equal(
    read({ code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'vault' }),
    'vault_name_unknown: getaddrinfo ENOTFOUND vault',
  );
  assert.equal(withCode('ETIMEDOUT'), 'vault_timeout: ETIMEDOUT');
  assert.equal(withCode('UND_ERR_RES_EXCEEDED_MAX_SIZE'), 'bad_response: the reply exceeds the size limit');
  assert.equal(withCode('UND_ERR_PRX_TLS'), 'vault_proxy: UND_ERR_PRX_TLS');
  assert.equal(withCode('CERT_REVOKED'), 'vault_tls: the certificate is revoked (CERT_REVOKED)');
  assert.equal(
    withCode('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    'vault_tls: ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  );
  for (const code of ['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'HPE_INVALID_CONSTANT'])
    assert.equal(withCode(code), `vault_not_http: ${code}`);
  assert.equal(read({ name: 'HTTPParserError' }), 'vault_not_http: HPE_INVALID');
});

test('reports a refused CONNECT with its status, and any other abort as a lost connection', () => {
  const message = 'Proxy response (407) !== 200 when HTTP Tunneling';
  assert.equal(read({ code: 'UND_ERR_ABORTED', message }), 'vault_proxy: the proxy replied with status 407');
  assert.equal(read({ code: 'UND_ERR_ABORTED', message: 'aborted' }), 'vault_connection_lost: UND_ERR_ABORTED');
  assert.equal(read({ code: 'UND_ERR_SOCKET', message }), 'vault_connection_lost: UND_ERR_SOCKET');
});

test('causes and aggregates are looked through, the outermost known code first, six levels deep', () => {
  const refused = { code: 'ECONNREFUSED' };
  assert.equal(read({ message: 'fetch failed', cause: refused }), 'vault_unreachable: ECONNREFUSED');
  assert.equal(read({ errors: [{ code: 'UNKNOWN' }, refused] }), 'vault_unreachable: ECONNREFUSED');
  assert.equal(read({ code: 'ETIMEDOUT', cause: refused }), 'vault_timeout: ETIMEDOUT');
  const nested = (levels: number): object => (levels === 0 ? refused : { cause: nested(levels - 1) });
  assert.equal(read(nested(5)), 'vault_unreachable: ECONNREFUSED');
  assert.equal(read(nested(6)), 'vault_connection_lost: unknown network error');
  const endless: { cause?: unknown } = {};
  endless.cause = endless;
  assert.equal(read(endless), 'vault_connection_lost: unknown network error');
});

test('reports an unknown error as a lost connection, with all error codes', () => {
  assert.equal(
    read({ code: 'ONE', cause: { code: 'TWO', cause: { code: 'ONE', cause: { code: 7 } } } }),
    'vault_connection_lost: ONE, TWO',
  );
  for (const thrown of [undefined, null, 'text', 7, {}])
    assert.equal(read(thrown), 'vault_connection_lost: unknown network error');
});

test('a failure of ours stays what it is', () => {
  const failure = new ExchangeError('vault_timeout', { kind: 'timeout', limitMs: 15_000 });
  assert.equal(networkFailure(failure), failure);
});
