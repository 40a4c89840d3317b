"""Keep the tests of the guest from being collected on this machine."""

import os

if not os.environ.get("REAL_PARTS_GUEST"):
    collect_ignore = ["guest"]
