// npm run tools: builds the programs that take minutes and that the slow suites need, once for each machine. The suites
// build what is missing themselves; .ci/run builds it beside others.

import { dockerCompose, dockerd } from './deploy/compose-docker.ts';
import { kubernetesPrograms } from './node/parts.ts';
import { findVault } from './vault/find-vault.ts';

findVault();
kubernetesPrograms();
dockerd();
dockerCompose();
