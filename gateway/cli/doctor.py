"""`xyte-gateway doctor`: what keeps the gateway from working on this machine, and the line that mends it."""

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
"""The sign of each, the same for terminals with few letters, and its colour."""

STATE_WIDTH = max(len(state) for state in FindingState)
INDENT = " " * (STATE_WIDTH + 3)


def doctor(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Look at everything that can keep the gateway from working on this machine, and say what mends it.

    The configuration, file modes, store and disk; D-Bus, Bluetooth and serial ports; entry, hub and clock. Works without a
    configuration, with a broken one, and while the gateway runs. Reads only: opens no port and sends no key.

    Exit code 1 if there is a fault; warnings alone are none.
    """
    plugins = installed()
    adapters = usable(plugins)
    broken = {name: plugin.problem for name, plugin in plugins.items() if plugin.problem is not None}
    file = None if not file_exists(config) and needs_no_file(config) else config
    found = asyncio.run(_told(read_known_config(file, adapters, broken=broken), adapters, as_json=as_json))
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
        _sum_up(count)
    if count[FindingState.FAULT]:
        raise typer.Exit(EXIT_FAILED)


async def _told(intake: KnownConfig, adapters: AdapterClasses, *, as_json: bool) -> list[Finding]:
    """Return what is found, and show each finding as it comes."""
    found: list[Finding] = []
    with _wait_shown(is_wanted=not as_json):
        async with closed_after(examine(intake, adapters)) as findings:
            async for finding in findings:
                found.append(finding)
                if not as_json:
                    _show(finding)
    return found


@contextmanager
def _wait_shown(*, is_wanted: bool) -> Iterator[None]:
    """Show somebody at a terminal that there is more to come."""
    if not is_wanted or not sys.stderr.isatty():
        yield
        return
    with err.status("looking; this takes ten seconds at most"):
        yield


def _show(finding: Finding) -> None:
    sign, plain_sign, colour = SIGNS[finding.state]
    has_letters = (out.encoding or "").lower().startswith("utf")
    word = f"{sign if has_letters else plain_sign} {finding.state:{STATE_WIDTH}} "
    out.print(Text.assemble((word, colour), (finding.what, "bold"), f": {finding.meaning}"), soft_wrap=True)
    if finding.fix is not None:
        out.print(Text.assemble(INDENT, ("fix: ", "bold"), finding.fix), soft_wrap=True)


def _sum_up(count: Counter[FindingState]) -> None:
    numbers = (
        _number(count[FindingState.FAULT], "fault"),
        _number(count[FindingState.WARNING], "warning"),
        f"{count[FindingState.FINE]} fine",
        f"{count[FindingState.NOT_LOOKED_AT]} not looked at",
    )
    out.print(f"\n{', '.join(numbers)}", markup=False)


def _number(many: int, thing: str) -> str:
    return f"{many or 'no'} {thing}{'' if many == 1 else 's'}"


def _facts(finding: Finding) -> dict[str, str | None]:
    return {"what": finding.what, "state": finding.state, "meaning": finding.meaning, "fix": finding.fix}
