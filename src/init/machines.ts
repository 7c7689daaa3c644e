// Virtual machines of a cloud, whose metadata service issues the JWT.

import type { ConfigFile } from '../config/schema.ts';
import { UsageError } from '../host/io.ts';
import { quoted } from '../setup/text.ts';
import { configOf, type Given, issuerUrl, type Scenario, type Written } from './scenario.ts';

/** https://cloud.google.com/compute/docs/instances/verifying-instance-identity */
export const gce: Scenario = {
  write(given) {
    const audience = given.optional('audience', 'vault');
    const account = given.required('service-account-id');
    if (!/^\d+$/.test(account))
      throw new UsageError('--service-account-id must be a number, the unique id of the service account');
    const config = machineConfig(given, {
      mount: 'gce',
      expect: {
        issuer: issuerUrl(given, 'https://accounts.google.com'),
        audience,
        subject: account,
      },
      http: {
        url: 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?format=full',
        query: { audience },
        headers: { 'Metadata-Flavor': 'Google' },
      },
    });
    return { config, ...unit('on a VM with that service account', given) };
  },
};

/** https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
export const azure: Scenario = {
  write(given) {
    const audience = given.required('audience');
    const config = machineConfig(given, {
      mount: 'azure',
      expect: {
        issuer: given.optional('issuer', '') === '' ? tenantIssuer(given) : issuerUrl(given),
        audience,
        subject: given.required('principal-id'),
      },
      http: {
        url: 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01',
        query: { resource: audience },
        headers: { Metadata: 'true' },
        json_pointer: '/access_token',
      },
    });
    return { config, ...unit('on a VM with that managed identity', given) };
  },
};

/** The issuer of access tokens of version 1. @throws UsageError */
function tenantIssuer({ required }: Given): string {
  const tenant = required('tenant-id');
  if (!/^[\w.-]+$/.test(tenant)) throw new UsageError('--tenant-id must be letters, digits, "-" and "."');
  return `https://sts.windows.net/${tenant}/`;
}

interface Machine {
  readonly mount: string;
  readonly expect: { readonly issuer: string; readonly audience: string; readonly subject: string };
  readonly http: NonNullable<ConfigFile['exchanges'][string]['source']['http']>;
}

const machineConfig = (given: Given, { mount, expect, http }: Machine): ConfigFile => ({
  ...configOf(given, {
    name: 'app',
    source: { http },
    sinks: [{ file: { path: '/run/vault-token-sidecar/app/token', mode: '0640' } }],
    expect,
    defaults: { mount, role: 'app', policy: 'app-read', secret: 'app', ttl: '1h' },
  }),
  // not on a port, where each user of the machine could ask for the token
  api: { listen: 'unix:/run/vault-token-sidecar/app/api.sock', socket_mode: '0660' },
});

/** Runs the config in the unit of the Debian package, and checks it as the user of the unit. */
const unit = (where: string, { file }: Given): Pick<Written, 'workloadText' | 'next'> => ({
  workloadText: `# the workload: the systemd unit of the Debian package, ${where}
sudo install -m 644 ${quoted(file)} /etc/vault-token-sidecar/app.json

sudo systemctl enable --now vault-token-sidecar@app`,
  next: [
    'sudo runuser -u vault-token-sidecar -- vault-token-sidecar doctor --config /etc/vault-token-sidecar/app.json',
  ],
});
