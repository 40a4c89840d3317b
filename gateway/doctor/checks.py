"""List all checks of `doctor`, in the order in which their findings are shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from typing import Any

from gateway.adapter import Adapter, AdapterSettings
from gateway.config.settings import Configuration
from gateway.doctor.check_runner import CHECK_SECONDS, Check, in_daemon_thread, run_checks
from gateway.doctor.cloud import cloud_findings
from gateway.doctor.config import config_findings, hook_findings, secrecy_findings
from gateway.doctor.disk import disk_findings, store_findings
from gateway.doctor.known_config import AdapterClasses, KnownConfig, known_config_of
from gateway.doctor.status_page import status_page_findings
from gateway.doctor.version import version_findings
from gateway.models import Finding

LOCAL_CHECKS: tuple[tuple[str, Callable[[KnownConfig], AsyncIterator[Finding]]], ...] = (
    ("config", config_findings),
    ("file modes", secrecy_findings),
    ("firmware hook", hook_findings),
    ("store", store_findings),
    ("disk", disk_findings),
    ("status page", status_page_findings),
    ("version", version_findings),
)
"""The checks of this machine; that of the cloud comes last, because it takes longest."""


def examine(known: KnownConfig, adapters: AdapterClasses, *, within_seconds: float = CHECK_SECONDS) -> AsyncIterator[Finding]:
    """Check everything that can keep a gateway with this configuration from working on this machine.

    Only reads: opens no port, sends no key, creates no store. All checks run at once, within about ten seconds.
    """
    return run_checks(list(_checks(known, adapters)), within_seconds=within_seconds)


async def examine_running(configuration: Configuration, adapters: AdapterClasses) -> Sequence[Finding]:
    """Return the findings for a gateway that runs with this configuration, whose file is read again."""
    known = await in_daemon_thread(partial(known_config_of, configuration, adapters))
    return [finding async for finding in examine(known, adapters)]


def _checks(known: KnownConfig, adapters: AdapterClasses) -> Iterator[Check]:
    for what, run in LOCAL_CHECKS:
        yield Check(what, partial(run, known))
    for entry in known.entries:
        yield _adapter_check(entry.name, adapters[entry.type], entry)
    if not known.is_given:
        for name, adapter in adapters.items():
            yield _adapter_check(name, adapter, None)
    yield Check("cloud", partial(cloud_findings, known))


def _adapter_check(name: str, adapter: type[Adapter[Any]], settings: AdapterSettings | None) -> Check:
    return Check(f"{name}: bus", partial(adapter.examine, settings), entry=name)
