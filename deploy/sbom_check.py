"""Check a bill of materials against the official schema of CycloneDX, in the environment of `make sbom`."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(file: str) -> int:
    """Exit code 1 with the first mistake, if there is one."""
    mistake = JsonStrictValidator(SchemaVersion.V1_6).validate_str(Path(file).read_text(encoding="utf-8"))
    if mistake is not None:
        sys.stderr.write(f"{file} is no valid CycloneDX 1.6: {mistake}\n")
        return 1
    sys.stdout.write(f"{file} is valid CycloneDX 1.6\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
