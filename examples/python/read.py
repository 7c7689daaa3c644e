"""Reads a secret each second with Python's standard library.

With VAULT_TOKEN_FILE, the token is read again for each request.
"""

import json
import os
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen


def current_token():
    path = os.environ.get("VAULT_TOKEN_FILE")
    return Path(path).read_text() if path else os.environ.get("VAULT_TOKEN", "")


def read_secret(path):
    request = Request(f"{os.environ['VAULT_ADDR']}/v1/{path}", headers={"X-Vault-Token": current_token()})
    with urlopen(request, timeout=10) as reply:
        return json.load(reply)["data"]["data"]


while True:
    try:
        print(read_secret("secret/data/my-app")["greeting"], flush=True)
    except OSError as error:
        print(error, file=sys.stderr, flush=True)
    time.sleep(1)
