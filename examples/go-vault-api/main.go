// Reads a secret each second with Vault's own Go client. With VAULT_TOKEN_FILE, the token is read again for each request.
// Otherwise the client reads VAULT_TOKEN once.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	vault "github.com/hashicorp/vault/api"
)

func readSecret(ctx context.Context, client *vault.Client, path string) (map[string]any, error) {
	if file := os.Getenv("VAULT_TOKEN_FILE"); file != "" {
		token, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		client.SetToken(string(token))
	}
	secret, err := client.KVv2("secret").Get(ctx, path)
	if err != nil {
		return nil, err
	}
	return secret.Data, nil
}

func main() {
	client, err := vault.NewClient(vault.DefaultConfig()) // reads VAULT_ADDR and VAULT_TOKEN
	if err != nil {
		log.Fatal(err)
	}
	for range time.Tick(time.Second) {
		data, err := readSecret(context.Background(), client, "my-app")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		fmt.Println(data["greeting"])
	}
}
