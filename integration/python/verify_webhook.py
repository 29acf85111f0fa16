"""Checks webhook signatures with the official Standard Webhooks library.

Reads JSON lines from stdin, each {"secret": "whsec_…", "headers": {…}, "body": "…"}, and prints one line for each:
{"valid": true} or {"valid": false, "error": "…"}.
"""

import json
import sys

try:
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError:
    sys.exit("the Python library `standardwebhooks` is missing: install integration/python/requirements.txt")


def verify(message):
    try:
        Webhook(message["secret"]).verify(message["body"], message["headers"])
    except WebhookVerificationError as error:
        return {"valid": False, "error": str(error)}
    return {"valid": True}


for line in sys.stdin:
    if line.strip():
        print(json.dumps(verify(json.loads(line))), flush=True)
