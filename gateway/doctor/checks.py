"""Everything that `doctor` looks at, in the order in which it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.config.settings import Configuration
from gateway.doctor.check_runner import CHECK_SECONDS, Check, aside, findings_of
from gateway.doctor.cloud import cloud_findings
from gateway.doctor.config import config_findings, secrecy_findings
from gateway.doctor.disk import disk_findings, store_findings
from gateway.doctor.known_config import AdapterClasses, Intake, in_use
from gateway.doctor.status_page import page_findings
from gateway.models import Finding

OUR_OWN: tuple[tuple[str, Callable[[Intake], AsyncIterator[Finding]]], ...] = (
    ("config", config_findings),
    ("file modes", secrecy_findings),
    ("store", store_findings),
    ("disk", disk_findings),
    ("status page", page_findings),
)
"""What is at hand; the cloud comes last, since it may take its time."""


def examine(intake: Intake, adapters: AdapterClasses, *, within_seconds: float = CHECK_SECONDS) -> AsyncIterator[Finding]:
    """Look at everything that keeps a gateway with this configuration from working on this machine.

    Reads only: no port is opened, no key is sent, no store is made. All at once, within about ten seconds.
    """
    return findings_of(list(_checks(intake, adapters)), within_seconds=within_seconds)


async def examined(configuration: Configuration, adapters: AdapterClasses) -> Sequence[Finding]:
    """Return what is found on the machine of a gateway that runs with this configuration, whose file is read again."""
    intake = await aside(partial(in_use, configuration, adapters))
    return [finding async for finding in examine(intake, adapters)]


def _checks(intake: Intake, adapters: AdapterClasses) -> Iterator[Check]:
    for what, look in OUR_OWN:
        yield Check(what, partial(look, intake))
    for entry in intake.entries:
        yield _of_adapter(entry.name, adapters[entry.type], entry)
    if not intake.is_given:
        for name, adapter in adapters.items():
            yield _of_adapter(name, adapter, None)
    yield Check("cloud", partial(cloud_findings, intake))


def _of_adapter(name: str, adapter: type[Adapter[Any]], settings: AdapterSettings | None) -> Check:
    return Check(f"{name}: bus", partial(adapter.examine, settings), entry=name)
