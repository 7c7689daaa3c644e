#!/usr/bin/env node
// The commands of Vault's CLI that setup and doctor print, so that tests can run them without the real CLI.

import { readFileSync } from 'node:fs';

const [address, token] = [process.env.VAULT_ADDR, process.env.VAULT_TOKEN];
const flags = process.argv.slice(2).filter((word) => word.startsWith('-') && word !== '-');
const words = process.argv.slice(2).filter((word) => !flags.includes(word));
const flag = (name) => flags.find((one) => one.startsWith(`-${name}=`))?.slice(name.length + 2);
const stdin = () => readFileSync(0, 'utf8');

async function post(path, body) {
  const namespace = flag('namespace');
  const response = await fetch(`${address}/v1/${path}`, {
    method: 'POST',
    headers: { 'x-vault-token': token, ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }) },
    body: JSON.stringify(body),
  });
  if (response.ok) return;
  process.stderr.write(`${path}: ${response.status} ${await response.text()}\n`);
  process.exit(2);
}

const pairs = (given) => {
  if (given[0] === '-') return JSON.parse(stdin());
  return Object.fromEntries(given.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]));
};

if (words[0] === 'write') await post(words[1], pairs(words.slice(2)));
else if (words[0] === 'policy') await post(`sys/policies/acl/${words[2]}`, { policy: stdin() });
else if (words[0] === 'auth') await post(`sys/auth/${flag('path') ?? words[2]}`, { type: words[2] });
else if (words[0] === 'operator') await post('sys/unseal', { key: 'any' });
else throw new Error(`no such command: ${words.join(' ')}`);
