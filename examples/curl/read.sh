#!/bin/sh
# Reads a secret each second with curl. With VAULT_TOKEN_FILE or VAULT_TOKEN_API (http://127.0.0.1:8275/v1/token), the
# token is read again for each request. curl gets it on standard input, since other users can see its arguments. With
# VAULT_SOCKET, the requests go to the API proxy on that unix socket, without a token.
while sleep 1; do
  if [ -n "$VAULT_TOKEN_FILE" ]; then
    VAULT_TOKEN=$(cat "$VAULT_TOKEN_FILE")
  elif [ -n "$VAULT_TOKEN_API" ]; then
    VAULT_TOKEN=$(curl -sSf -H 'X-Vault-Request: true' -H 'Accept: text/plain' "$VAULT_TOKEN_API")
  fi
  if [ -n "$VAULT_SOCKET" ]; then
    curl -sSf --unix-socket "$VAULT_SOCKET" http://localhost/v1/secret/data/my-app
  else
    printf 'X-Vault-Token: %s' "$VAULT_TOKEN" | curl -sSf -H @- "$VAULT_ADDR/v1/secret/data/my-app"
  fi |
    sed -n 's/.*"greeting":"\([^"]*\)".*/\1/p'
done
