// Stands in for node:http2 in the bundle: HTTP/2 is never spoken here, neither with Vault nor by the listeners, and loading
// it would take a tenth of the time to the first token. undici and fastify look at nothing but this, unless asked for it.

export const constants = {};
