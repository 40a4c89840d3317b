"""`xyte-gateway doctor`: find out what keeps the gateway from working on this machine, and how to fix it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.text import Text

from gateway.cli.common import EXIT_FAILED, AsJson, ConfigFile, err, needs_no_file, out, print_json
from gateway.config.file import file_exists
from gateway.config.settings import DEFAULT_FILE
from gateway.doctor.checks import examine
from gateway.doctor.known_config import AdapterClasses, KnownConfig, read_known_config
from gateway.field.plugins import installed, usable
from gateway.models import Finding, FindingState
from gateway.tasks import closed_after

SIGNS: Mapping[FindingState, tuple[str, str, str]] = {
    FindingState.FINE: ("✓", "+", "green"),
    FindingState.WARNING: ("!", "!", "yellow"),
    FindingState.FAULT: ("✗", "x", "bold red"),
    FindingState.NOT_LOOKED_AT: ("·", "-", "dim"),
}
"""The sign of each state, the same in ASCII, and its colour."""

STATE_WIDTH = max(len(state) for state in FindingState)
INDENT = " " * (STATE_WIDTH + 3)


def doctor(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Check everything that can keep the gateway from working on this machine, and show how to fix it.

    Checks the configuration, file modes, store and disk; D-Bus, Bluetooth and serial ports; entry server, hub and clock. Works
    without a configuration, with a wrong one, and while the gateway runs. Read-only: opens no port and sends no key.

    Exit code 1 if there is a fault; warnings do not change the exit code.
    """
    plugins = installed()
    adapters = usable(plugins)
    broken = {name: plugin.problem for name, plugin in plugins.items() if plugin.problem is not None}
    file = None if not file_exists(config) and needs_no_file(config) else config
    found = asyncio.run(_show_findings(read_known_config(file, adapters, broken=broken), adapters, as_json=as_json))
    count = Counter(finding.state for finding in found)
    if as_json:
        print_json(
            {
                "findings": [_facts(finding) for finding in found],
                "faults": count[FindingState.FAULT],
                "warnings": count[FindingState.WARNING],
            }
        )
    else:
        _show_totals(count)
    if count[FindingState.FAULT]:
        raise typer.Exit(EXIT_FAILED)


async def _show_findings(known: KnownConfig, adapters: AdapterClasses, *, as_json: bool) -> list[Finding]:
    """Return the findings, and show each one as soon as possible."""
    found: list[Finding] = []
    with _progress_shown(is_wanted=not as_json):
        async with closed_after(examine(known, adapters)) as findings:
            async for finding in findings:
                found.append(finding)
                if not as_json:
                    _show(finding)
    return found


@contextmanager
def _progress_shown(*, is_wanted: bool) -> Iterator[None]:
    """Show a person at a terminal that there is more to come."""
    if not is_wanted or not sys.stderr.isatty():
        yield
        return
    with err.status("checking; this takes at most ten seconds"):
        yield


def _show(finding: Finding) -> None:
    sign, plain_sign, colour = SIGNS[finding.state]
    has_unicode = (out.encoding or "").lower().startswith("utf")
    word = f"{sign if has_unicode else plain_sign} {finding.state:{STATE_WIDTH}} "
    out.print(Text.assemble((word, colour), (finding.what, "bold"), f": {finding.meaning}"), soft_wrap=True)
    if finding.fix is not None:
        out.print(Text.assemble(INDENT, ("fix: ", "bold"), finding.fix), soft_wrap=True)


def _show_totals(count: Counter[FindingState]) -> None:
    numbers = (
        _count_text(count[FindingState.FAULT], "fault"),
        _count_text(count[FindingState.WARNING], "warning"),
        f"{count[FindingState.FINE]} fine",
        f"{count[FindingState.NOT_LOOKED_AT]} not looked at",
    )
    out.print(f"\n{', '.join(numbers)}", markup=False)


def _count_text(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _facts(finding: Finding) -> dict[str, str | None]:
    return {"what": finding.what, "state": finding.state, "meaning": finding.meaning, "fix": finding.fix}
