#!/bin/sh
# Reads a secret every two seconds with Vault's CLI. With VAULT_TOKEN_FILE, the token is read again for each command.
while sleep 2; do
  if [ -n "$VAULT_TOKEN_FILE" ]; then
    VAULT_TOKEN=$(cat "$VAULT_TOKEN_FILE")
    export VAULT_TOKEN
  fi
  vault kv get -field=greeting secret/my-app
done
