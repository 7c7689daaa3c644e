# consul-template -config config.hcl
# Renders a secret, and reads the token file again when the token changes. VAULT_ADDR names the Vault.
vault {
  vault_agent_token_file = "/vault/token"
  # the sidecar renews the token
  renew_token = false
  # how often a secret without a lease, such as one of a KV engine, is read again
  default_lease_duration = "5m"
}

template {
  contents    = "{{ with secret \"secret/data/my-app\" }}{{ .Data.data.greeting }}{{ end }}"
  destination = "/run/my-app/greeting"
}
