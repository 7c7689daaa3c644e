// The entry point of the standalone program. A process with a hanging system call ends by running its own program as
// `node -e 'process.exit(N)'` (src/main.ts); the standalone program isn't node, so it does here what node would do.

const [, code] = /^process\.exit\((\d+)\)$/.exec(process.argv[2] === '-e' ? (process.argv[3] ?? '') : '') ?? [];
if (code === undefined) await import('../../src/main.ts');
else process.exit(Number(code));
