// Node's HTTP module without `import`, which reads all of its exports: that of WebSocket loads Node's own copy of undici, 1.6 MiB.

import { createRequire } from 'node:module';

export const { createServer, request }: typeof import('node:http') = createRequire(import.meta.url)('node:http');
