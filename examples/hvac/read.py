"""Reads a secret each second with hvac.

With VAULT_TOKEN_FILE, the token is read again for each request. Otherwise hvac reads VAULT_TOKEN once.
"""

import os
import sys
import time
from pathlib import Path

import hvac

client = hvac.Client()
token_file = os.environ.get("VAULT_TOKEN_FILE")


def read_secret(path):
    if token_file:
        client.token = Path(token_file).read_text()
    return client.secrets.kv.v2.read_secret_version(path)["data"]["data"]


while True:
    try:
        print(read_secret("my-app")["greeting"], flush=True)
    except hvac.exceptions.VaultError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    time.sleep(1)
