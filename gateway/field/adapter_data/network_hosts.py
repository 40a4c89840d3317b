"""Check the hosts that an adapter finds in named networks: they were named, and every text is printable and short. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from gateway.field.adapter_data.found_devices import MOST_KEY_CHARACTERS, checked_answers
from gateway.field.adapter_data.values import Unusable
from gateway.models import NetworkHost
from gateway.plain_text import plain_text, type_name

MOST_KIND_CHARACTERS: Final = 60


def checked_network_host(found: Any, named: Collection[str]) -> NetworkHost:  # noqa: ANN401 - whatever an adapter returns
    """Return a host with texts that are printable and short.

    Args:
        found: what the adapter yielded.
        named: the hosts and addresses that a person has named.

    Raises:
        Unusable: it is none, or nobody has named it; the text says what it is.
    """
    if type(found) is not NetworkHost:
        raise Unusable(f"something of the type {type_name(type(found))} as a host")
    try:
        why = _why_unusable(found, named)
        evidence = checked_answers(found.evidence, "evidence")
        entry = dict(found.entry) if why is None else {}
    except Unusable:
        raise
    except BaseException as error:  # noqa: BLE001 - objects of a third-party adapter, which may raise anything, even `SystemExit`
        raise Unusable(f"a host with something that raises {type_name(type(error))} when it is used") from None
    if why is not None:
        raise Unusable(why)
    return NetworkHost(
        host=found.host,
        kind=plain_text(found.kind, MOST_KIND_CHARACTERS),
        evidence=evidence,
        was_reached=found.was_reached is True,
        entry=entry,
    )


def _why_unusable(found: NetworkHost, named: Collection[str]) -> str | None:
    if type(found.host) is not str or len(found.host) > MOST_KEY_CHARACTERS or found.host not in named:
        return "a host that nobody has named"
    if type(found.kind) is not str:
        return f"a host whose kind is of the type {type_name(type(found.kind))}"
    if type(found.entry) is not dict or not all(type(key) is str for key in found.entry):
        return "a host whose entry is no table"
    return None
