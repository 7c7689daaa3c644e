// Where the tokens of sink tests are from.

import type { TokenPlace } from '../../src/core/origin.ts';

export const PLACE: TokenPlace = { vault_address: 'https://vault:8200', namespace: null, mount: 'jwt', role: 'app' };
