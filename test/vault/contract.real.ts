// The contract against a real Vault.

import { testContract } from './contract.ts';
import { openRealVault } from './real-vault.ts';

testContract(openRealVault);
