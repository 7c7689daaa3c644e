#!/bin/sh
# Configures a Vault as an issuer of JWTs for the workload "app", then writes a new JWT to /run/jwt/token every 30 s,
# atomically, as kubelet does. Idempotent.
set -eu
umask 077

prepare() {
  vault write identity/oidc/config issuer="$VAULT_ADDR"
  vault write identity/oidc/key/workloads allowed_client_ids=vault algorithm=ES256
  vault write identity/oidc/role/app key=workloads client_id=vault ttl=2m \
    template='{"workload": {{identity.entity.name}}}'
  vault policy write app - << 'EOF'
path "identity/oidc/token/app" { capabilities = ["read"] }
EOF

  # the entity "app", its alias, and the token role that may use the alias
  accessor="$(vault read -field=accessor sys/auth/token)"
  vault write identity/entity name=app
  vault write identity/entity-alias name=app mount_accessor="$accessor" \
    canonical_id="$(vault read -field=id identity/entity/name/app)"
  vault write auth/token/roles/app allowed_entity_aliases=app allowed_policies=app
}

prepare > /dev/null
VAULT_TOKEN="$(vault token create -field=token -role=app -entity-alias=app -period=1h)"
export VAULT_TOKEN

while :; do
  vault token renew > /dev/null
  vault read -field=token identity/oidc/token/app > /run/jwt/.token
  mv /run/jwt/.token /run/jwt/token
  echo "a new JWT in /run/jwt/token"
  sleep 30
done
