// The tests that belong to each part of the source.

export interface Room {
  readonly sources: string;
  readonly tests: readonly string[];
}

const CORE = ['test/core/*.test.ts', 'test/stories/*.test.ts'];

export const ROOMS: readonly Room[] = [
  {
    sources:
      'src/core/{record*,decide*,delay,token-life,step,origin,schedule,bucket,errors,secret,status,vault-protocol,login-refusals,workload-jwt}.ts',
    tests: CORE,
  },
  {
    sources: 'src/exchange/*.ts',
    tests: ['test/exchange/*.test.ts'],
  },
  { sources: 'src/{files,sinks}/*.ts', tests: ['test/files/*.test.ts', 'test/sinks/*.test.ts'] },
  { sources: 'src/sources/*.ts', tests: ['test/sources/*.test.ts'] },
  { sources: 'src/http/*.ts', tests: ['test/http/*.test.ts', 'test/fuzz/guard.test.ts'] },
  { sources: 'src/{network/!(forward),vault/*}.ts', tests: ['test/network/*.test.ts', 'test/vault/*.test.ts'] },
  { sources: 'src/{network/forward,proxy/*}.ts', tests: ['test/proxy/*.test.ts'] },
  { sources: 'src/config/*.ts', tests: ['test/config/*.test.ts', 'test/fuzz/config.test.ts'] },
  { sources: 'src/observe/*.ts', tests: ['test/observe/*.test.ts', 'test/stories/*.test.ts'] },
];
