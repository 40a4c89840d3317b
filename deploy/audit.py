"""Compare the locked packages with the known vulnerabilities, by pip-audit, and say so where the advisories cannot be reached.

Exit code 0: none is known. 1: there are some. 3: nobody knows, as the advisories could not be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

FOUND, UNKNOWN = 1, 3
SECONDS = 600


def main(locks: Sequence[str]) -> int:
    """Audit these lists."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--disable-pip",
        "--require-hashes",
    ]
    for lock in locks:
        command += ["--requirement", lock]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        return _unknown(f"no answer within {SECONDS} s")
    try:
        report = json.loads(ran.stdout)
    except ValueError:
        return _unknown(next(iter(reversed(ran.stderr.strip().splitlines())), f"pip-audit ended with {ran.returncode}"))
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in report["dependencies"] if "skip_reason" in one]
    if skipped:
        return _unknown(f"{len(skipped)} packages were not looked up, such as {skipped[0]}")
    findings = list(_findings(report))
    for line in findings:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(
        f"{len(report['dependencies'])} packages of {', '.join(locks)}: {len(findings) or 'no'} known vulnerabilities\n"
    )
    return FOUND if findings else 0


def _unknown(why: str) -> int:
    sys.stderr.write(f"The advisories could not be reached, so nothing is known about vulnerabilities: {why}\n")
    return UNKNOWN


def _findings(report: dict[str, Any]) -> Iterator[str]:
    for package in report["dependencies"]:
        for one in package["vulns"]:
            mended = ", ".join(one["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']}: {one['id']}, mended in {mended}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
