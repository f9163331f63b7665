"""`helm test`: a replica is ready, and one leads. It runs in the operator's image, under its ServiceAccount."""

import json
import os
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path(os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
DEADLINE = time.monotonic() + float(os.environ.get("TEST_SECONDS", "90"))


def ready() -> str:
    """Return a problem, or "" if a replica has its watches."""
    try:
        with urllib.request.urlopen(os.environ["READY_URL"], timeout=5):
            return ""
    except OSError as error:
        return f"no replica is ready: {error}"


def renewed() -> str:
    """The holder of the Lease and the time of its last renewal; "" if nobody holds it."""
    token = (ACCOUNT / "token").read_text().strip()
    request = urllib.request.Request(os.environ["LEASE_URL"], headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trust) as response:
        spec = json.load(response)["spec"]
    holder = spec.get("holderIdentity") or ""
    return f"{holder} at {spec.get('renewTime')}" if holder else ""


def led(first: list[str]) -> str:
    """Return a problem, or "" if the Lease was renewed meanwhile: so the clocks of the two need not agree."""
    try:
        seen = renewed()
    except OSError as error:
        return f"the Lease cannot be read: {error}"
    if not seen:
        return "no replica holds the Lease"
    first.append(seen)
    return "" if seen != first[0] else f"{seen}, and not since"


def main() -> int:
    """Wait until both hold; exit with 1 if the time is over."""
    first: list[str] = []
    while True:
        problem = ready() or (led(first) if os.environ.get("LEASE_URL") else "")
        if not problem:
            sys.stdout.write(f"ready; the leader is {first[-1] if first else 'not elected: there is one replica'}\n")
            return 0
        if time.monotonic() > DEADLINE:
            sys.stdout.write(f"{problem}\n")
            return 1
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
