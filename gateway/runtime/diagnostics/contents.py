"""Collect the contents of a dump, each by itself, so that a part that fails costs no other one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from gateway import strict_json
from gateway.config.settings import Configuration
from gateway.models import Finding
from gateway.runtime.diagnostics.archive import archive_name, pack
from gateway.runtime.diagnostics.secrets import masked_by, masked_settings, secrets_of_configuration, secrets_of_registry
from gateway.runtime.diagnostics.versions import versions
from gateway.settings_secrets import SecretTexts
from gateway.state.command_ledger import CommandLedger, LedgerEntry
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

PART_SECONDS = 30.0
"""The longest that one part may take."""

LATEST_COMMANDS = 200

Part = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """An archive, ready to be sent or written."""

    name: str
    content: bytes
    texts: Mapping[str, str]
    """What is in it: file name -> text."""


class DumpCollector:
    """Collects a dump of a gateway, with every secret masked.

    Args:
        configuration: returns what the gateway runs with.
        registry: knows the keys that must not be in it.
        parts: file name -> what returns its text.
        more_secrets: further texts that must not be in it.
    """

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        registry: Registry,
        parts: Mapping[str, Part],
        *,
        more_secrets: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._configuration = configuration
        self._registry = registry
        self._parts = parts
        self._more_secrets = more_secrets

    async def collect(self) -> Dump:
        """Return the archive."""
        at = datetime.now(UTC)
        texts: dict[str, str] = {}
        for name, part in self._parts.items():
            texts[name] = await _text_of(name, part)
        gateway = self._registry.gateway
        name = archive_name(None if gateway is None else gateway.serial_number, at)
        return await asyncio.to_thread(self._pack, texts, name, at)

    def _pack(self, texts: Mapping[str, str], name: str, at: datetime) -> Dump:
        secrets = SecretTexts(
            {*secrets_of_configuration(self._configuration()), *secrets_of_registry(self._registry), *self._more_secrets()}
        )
        masked = {file: masked_by(secrets, text) for file, text in texts.items()}
        return Dump(name=name, content=pack(masked, name, at), texts=masked)


async def _text_of(name: str, part: Part) -> str:
    try:
        async with asyncio.timeout(PART_SECONDS):
            return await part()
    except Exception as error:  # noqa: BLE001 - a dump is wanted because something is wrong, and that may be in the way of a part of it
        log.warning("the dump lacks %s: %s", name, error or type(error).__name__)
        return f"it could not be collected: {type(error).__name__}: {error}\n"


def configuration_part(configuration_now: Callable[[], Configuration]) -> Part:
    """Return the part with the settings that apply, without secrets."""

    async def text() -> str:
        configuration = configuration_now()
        settings = masked_settings(configuration.settings.model_copy(update={"adapter": ()}))
        shown = {
            "file": None if configuration.file is None else str(configuration.file),
            **(settings if isinstance(settings, dict) else {}),
            "adapter": masked_settings(configuration.entries),
        }
        return json_text(shown)

    return text


def versions_part() -> Part:
    """Return the part with the versions of everything that runs."""

    async def text() -> str:
        return json_text(await asyncio.to_thread(versions))

    return text


def findings_part(examine: Callable[[], Awaitable[Sequence[Finding]]]) -> Part:
    """Return the part with what `doctor` finds."""

    async def text() -> str:
        return json_text([asdict(finding) for finding in await examine()])

    return text


def commands_part(ledger: CommandLedger) -> Part:
    """Return the part with the latest commands of the cloud and their outcomes."""

    async def text() -> str:
        return json_text([_command_facts(entry) for entry in await ledger.latest(LATEST_COMMANDS)])

    return text


def lines_part(lines: Callable[[], Iterable[str]]) -> Part:
    """Return a part of lines."""

    async def text() -> str:
        return "".join(f"{line}\n" for line in lines())

    return text


def json_text(facts: object) -> str:
    """Return facts as JSON for people and programs."""
    return strict_json.dumps(facts, indent=1, default=str, ensure_ascii=False) + "\n"


def _command_facts(entry: LedgerEntry) -> dict[str, object]:
    return {
        "device_id": entry.device_id,
        "child": entry.child,
        "id": entry.command_id,
        "name": entry.name,
        "received_at": entry.received_at,
        "started_at": entry.started_at,
        "ended_at": entry.ended_at,
        "outcome": entry.outcome,
        "message": entry.message,
        "is_delivered": entry.is_delivered,
    }
