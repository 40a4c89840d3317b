"""Find the device that a person means: by its key, its name, its address, or a part of these that no other device has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from gateway.cli.common import EXIT_WRONG, CommandFailed
from gateway.cli.completion import complete_keys
from gateway.state.registry import Registry

MOST_LISTED = 8

Key = Annotated[
    str,
    typer.Argument(
        help="The device: its key, as `children` lists it, its name, its address, or a part of these that no other has.",
        autocompletion=complete_keys,
    ),
]


def key_of(registry: Registry, written: str, *, children_only: bool = False) -> str:
    """Return the key of the device that is meant.

    Raises:
        CommandFailed: no device is meant, or several are.
    """
    devices = {key: (record.child.name, record.child.address) for key, record in registry.children.items()}
    if not children_only:
        devices = {key: (device.name, device.found.address) for key, device in registry.found_devices.items()} | devices
    if written in devices:
        return written
    what = "child" if children_only else "device"
    for found in _by_clarity(devices, written.casefold()):
        if len(found) == 1:
            return found[0]
        if found:
            shown = ", ".join(f"{devices[key][0]} ({key})" for key in found[:MOST_LISTED])
            more = f" and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
            raise CommandFailed(f"{written!r} can be any of {shown}{more}; write the key", EXIT_WRONG)
    raise CommandFailed(f"no {what} has {written!r} as its key, name or address; `xyte-gateway children` lists them")


def _by_clarity(devices: Mapping[str, tuple[str, str]], written: str) -> Iterable[list[str]]:
    """Yield the keys of the devices that can be meant, the clearest ways to name one first."""
    facts = {key: tuple(fact.casefold() for fact in (key, *given)) for key, given in devices.items()}
    yield [key for key, (_, name, _) in facts.items() if name == written]
    yield [key for key, (_, _, address) in facts.items() if address == written]
    yield [key for key, given in facts.items() if written and any(fact.startswith(written) for fact in given)]
    yield [key for key, given in facts.items() if written and any(written in fact for fact in given)]
