// A stub for node:http2 in the bundle. The sidecar doesn't use HTTP/2, and loading the module takes a tenth of the time to the first
// token. Without HTTP/2, undici and fastify only read `constants`.

export const constants = {};
