// The CI job that `init gitlab` prints, run in the image that it names as GitLab's docker executor runs it: the project is
// mounted, the variables are set, and the lines of the script are the input of the image's shell.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { openIssuer } from '../../src/dev/issuer.ts';
import { printedJob } from '../support/printed-job.ts';
import { cli } from '../support/program.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { openRealVault } from '../vault/real-vault.ts';
import type { Engine } from './image-engine.ts';

/** Stands for the project's own commands: prints the secret. */
const DEPLOY = `#!/bin/sh
exec node -e '
  const headers = { "x-vault-token": process.env.VAULT_TOKEN };
  fetch(process.env.VAULT_ADDR + "/v1/secret/data/app", { headers })
    .then((answer) => answer.json())
    .then(({ data }) => console.log(data.data.greeting));
'
`;

export async function runsJob(t: TestContext, { environment }: Engine, image: string): Promise<void> {
  const { job, project, idToken } = await openProject(t);
  assert.equal(job.image, image);
  const script = ['set -e', ...(job.script ?? [])].join('\n');
  await writeFile(join(project, 'deploy.sh'), DEPLOY);
  // GitLab clones with umask 0, so that every user of an image can work on the files
  execFileSync('chmod', ['-R', '0777', project]);
  const variables = {
    ...job.variables,
    VAULT_ID_TOKEN: await idToken(job.id_tokens.VAULT_ID_TOKEN.aud),
    SCRIPT: script,
  };
  const names = Object.keys(variables).map((name) => `--env=${name}`);
  const run = async (shell: string) => {
    const args = [
      'run',
      '--rm',
      ...names,
      `--volume=${project}:/builds`,
      '--workdir=/builds',
      image,
      'sh',
      '-c',
      shell,
    ];
    return promisify(execFile)('podman', args, { env: { ...environment, ...variables } });
  };
  // the second job finds the files of the first one, as on a runner without containers
  const { stdout, stderr } = await run(
    'sh -c "$SCRIPT" && bash -o pipefail -c "$SCRIPT" && find /tmp/vault -printf "%m %U\n"',
  );
  assert.equal(stdout, 'hello\nhello\n700 1000\n600 1000\n', stderr);
  for (const secret of [variables.VAULT_ID_TOKEN, 'hvs.', 'VAULT_TOKEN='])
    assert.ok(!(stdout + stderr).includes(secret), 'a secret in the log of the job');
}

/** Opens a project with the config of `init gitlab`, an issuer, and a Vault that `setup` has configured. */
async function openProject(t: TestContext) {
  const project = await temporaryDirectory(t);
  const issuer = await openIssuer();
  t.after(() => issuer.close());
  const vault = await openRealVault(t);
  await vault.write('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await vault.write('secret/data/app', { data: { greeting: 'hello' } });
  const flags = ['--issuer', issuer.issuer, '--vault-address', vault.url, '--project', 'mygroup/myproject'];
  const { code, out, err } = await cli(['init', 'gitlab', ...flags], { cwd: project });
  assert.equal(code, 0, err);
  const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.root };
  const applied = await cli(['setup', '--config', 'config.json', '--apply', '--yes'], { cwd: project, env });
  assert.equal(applied.code, 0, applied.err);
  const sub = 'project_path:mygroup/myproject:ref_type:branch:ref:main';
  return { job: printedJob(out), project, idToken: (aud: string) => issuer.mint({ aud, sub }) };
}
