// The flags with which the image's entry point starts Node.

import { readFileSync } from 'node:fs';

const dockerfile = readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8');
const entryPoint: unknown = JSON.parse(/^ENTRYPOINT (\[".*)$/m.exec(dockerfile)?.[1] ?? '[]');
if (!Array.isArray(entryPoint) || entryPoint.length < 3) throw new Error('the Dockerfile has no ENTRYPOINT to read');

export const NODE_FLAGS: readonly string[] = entryPoint.slice(1, -1);
