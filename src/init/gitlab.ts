// A GitLab CI job, which gets its JWT in a variable.

import { isAtOidcPub } from '../core/hosts.ts';
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
  verification,
  yamlText,
} from './scenario.ts';

export const gitlab: Scenario = {
  write(given) {
    const issuer = issuerUrl(given);
    const [project, ref, refType] = [
      given.required('project'),
      given.optional('ref', 'main'),
      given.optional('ref-type', 'branch'),
    ];
    const config = configOf(given, {
      name: 'ci',
      source: { env: { name: 'VAULT_ID_TOKEN' } },
      sinks: [{ file: { path: '/tmp/vault/vault.env', format: 'env' } }],
      expect: { issuer, audience: issuer, subject: `project_path:${project}:ref_type:${refType}:ref:${ref}` },
      defaults: { mount: 'gitlab', role: 'gitlab-main', policy: 'ci-read', secret: 'app', ttl: '15m' },
    });
    const issuerText = isAtOidcPub(issuer) ? gitlabIssuer(issuer) : undefined;
    return { config, issuerText, workloadText: job(issuer, given), next: jobSteps(given) };
  },
};

/** https://oidc.pub: a scheduled pipeline pushes the issuer's documents. */
const gitlabIssuer = (issuer: string): string => `# GitLab: set this in gitlab.rb, then run gitlab-ctl reconfigure
#   gitlab_rails['ci_id_tokens_issuer_url'] = '${issuer}'

# publish the issuer: this job in a scheduled pipeline with the variables OIDCPUB_SERVICE_ID and OIDCPUB_API_KEY
#
# oidcpub-sync:
#   image: registry.gitlab.com/oidc.pub/cli:latest
#   variables:
#     OIDC_SOURCE_URL: $CI_SERVER_URL
#   script:
#     - oidcpub service sync

# check it
${verification(issuer)}`;

const job = (audience: string, given: Given): string => `# the workload: a job for .gitlab-ci.yml
#
# deploy:
#   image: ${IMAGE}:${given.version}-shell
#   id_tokens:
#     VAULT_ID_TOKEN: { aud: ${yamlText(audience)} }
#   variables:
#     VAULT_ADDR: ${yamlText(literal('vault-address', given.required('vault-address')))}
#   script:
#     - mkdir -p -m 700 /tmp/vault
#     - ${yamlText(`vault-token-sidecar once --config ${quoted(committed(given))}`)}
#     - export "$(cat /tmp/vault/vault.env)"
#     - ./deploy.sh # your commands, with VAULT_ADDR and VAULT_TOKEN set`;
