// A job of GitHub Actions or Forgejo Actions, which requests its JWT with two variables of the job.

import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';
import {
  committed,
  configOf,
  type Given,
  IMAGE,
  issuerUrl,
  jobSteps,
  literal,
  type Scenario,
  yamlText,
} from './scenario.ts';

const GITHUB = 'https://token.actions.githubusercontent.com';

/** https://docs.github.com/actions/reference/security/oidc */
export const github: Scenario = {
  write(given) {
    const issuer = issuerUrl(given, GITHUB);
    const audience = given.optional('audience', 'vault');
    const repository = given.required('repository');
    if (!REPOSITORY.test(repository))
      throw new UsageError('--repository must be OWNER/REPO, such as octo-org/octo-repo');
    const environment = literal('environment', given.optional('environment', ''));
    if (environment !== '' && given.optional('ref', '') !== '')
      throw new UsageError('--ref and --environment exclude each other: the subject names only the environment');
    const context =
      environment === ''
        ? `ref:${fullRef(given.optional('ref', 'main'))}`
        : `environment:${environment.replaceAll(':', '%3A')}`;
    const config = configOf(given, {
      name: 'ci',
      source: {
        http: {
          url_env: 'ACTIONS_ID_TOKEN_REQUEST_URL',
          query: { audience },
          headers: { Authorization: { env: 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', prefix: 'Bearer ' } },
          json_pointer: '/value',
        },
      },
      sinks: [{ file: { path: '/tmp/vault/token' } }],
      expect: { issuer, audience, subject: `repo:${repository}:${context}` },
      defaults: { mount: 'github', role: 'github-main', policy: 'ci-read', secret: 'app', ttl: '5m' },
    });
    return { config, workloadText: job(issuer, environment, given), next: jobSteps(given) };
  },
};

/** With ids behind "@" for repositories that were created after June 18, 2026. */
const REPOSITORY = /^[\w.-]+(?:@\d+)?\/[\w.-]+(?:@\d+)?$/;

const fullRef = (ref: string): string => (ref.startsWith('refs/') ? ref : `refs/heads/${ref}`);

/** Forgejo's issuer ends in /api/actions: https://forgejo.org/docs/latest/user/actions/security-openid-connect/ */
const isForgejo = (issuer: string): boolean => /\/api\/actions\/?$/.test(issuer);

function job(issuer: string, environment: string, given: Given): string {
  const [system, directory, permission] = isForgejo(issuer)
    ? ['Forgejo', '.forgejo', 'enable-openid-connect: true']
    : ['GitHub', '.github', 'permissions: { id-token: write, contents: read }'];
  return `# the workload: a job of ${system} Actions, for ${directory}/workflows/deploy.yaml
#
# deploy:
#   runs-on: ubuntu-latest
#   ${permission}${environment === '' ? '' : `\n#   environment: ${yamlText(environment)}`}
#   steps:
#     - uses: actions/checkout@v5
#     - run: |
#         mkdir -p -m 700 /tmp/vault
#         docker run --rm --user "$(id -u)" --env ACTIONS_ID_TOKEN_REQUEST_URL --env ACTIONS_ID_TOKEN_REQUEST_TOKEN \\
#           --volume "$PWD:/config:ro" --volume /tmp/vault:/tmp/vault \\
#           ${IMAGE}:${given.version} once --config ${quoted(`/config/${committed(given)}`)}
#         export VAULT_ADDR=${quoted(literal('vault-address', given.required('vault-address')))} VAULT_TOKEN="$(cat /tmp/vault/token)"
#         echo "::add-mask::$VAULT_TOKEN"
#         ./deploy.sh # your commands, with VAULT_ADDR and VAULT_TOKEN set`;
}
