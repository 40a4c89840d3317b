"""Propose a configuration from the devices that were found, with a mark where a person must add something. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway import strict_json
from gateway.first_start.first_look import ScannedBus
from gateway.models import Found

WIDTH = 110
"""Comments are wrapped at this column."""

HEAD = """\
# Configuration of a Xyte gateway, proposed by the gateway from the devices that it found.
# Replace what is in <angle brackets>. The gateway waits for this file and starts as soon as it is saved and valid, so insert
# the hardware key last. Later changes need a restart. `xyte-gateway check` checks the file.
# All keys and their meaning: deploy/gateway.example.toml, and `xyte-gateway adapters`.

[gateway]
name = "Xyte gateway"                   # display name in the cloud

[cloud]
# hardware_key = "<the model's secret from the Partner Portal>"
# hardware_key_file = "/run/secrets/hardware_key"   # better than the line above
"""


def propose_config(tables: Mapping[str, Mapping[str, Any]], buses: Sequence[ScannedBus], *, store: str | None = None) -> str:
    """Return the text of the file.

    Args:
        tables: each adapter's own keys, by its type.
        buses: the buses and devices that were found with them.
        store: the file for keys and samples; `None` for the default.
    """
    families = sorted({found.family for bus in buses for found in bus.devices.values() if found.family})
    parts = [HEAD, *([] if store is None else [f"[store]\npath = {_toml(store)}\n"]), "\n".join(_models(families))]
    parts += ["\n".join(_entry(kind, table, [bus for bus in buses if bus.entry == kind])) for kind, table in tables.items()]
    return "\n".join(parts)


def _models(families: Iterable[str]) -> Iterator[str]:
    yield "[models]                                # device family = the id of the Xyte model (Partner Portal, Model, Info)"
    for family in families:
        yield f'# {_key(family)} = "<model id>"'
    yield '# "*" = "<model id>"                    # for all other families'
    yield ""


def _entry(kind: str, table: Mapping[str, Any], buses: Sequence[ScannedBus]) -> Iterator[str]:
    """Write an entry; one that found no device is commented out, with the reason."""
    off = "# " if buses and not any(bus.devices for bus in buses) else ""
    for bus in buses:
        yield from _bus_comments(bus)
    lines = ["[[adapter]]", f"type = {_toml(kind)}", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    yield from (off + line for line in "\n".join(lines).split("\n"))
    yield ""


def _bus_comments(bus: ScannedBus) -> Iterator[str]:
    if bus.problem is not None:
        yield _comment(f"{bus.bus}: {bus.problem}")
    elif not bus.devices:
        yield _comment(f"{bus.bus}: no device was found; remove the comment signs to use it anyway")
    for found in bus.devices.values():
        yield _comment(f"{bus.bus}: {_device_text(found)}")


def _device_text(found: Found) -> str:
    known = f", {found.family}, profile {found.profile}" if found.profile else ", no matching profile"
    return f"{found.name} at {found.address}{known}"


def _comment(text: str) -> str:
    """Return comment lines; texts of devices cannot end them."""
    readable = "".join(letter if letter.isprintable() else " " for letter in text)
    return "\n".join(textwrap.wrap(readable, WIDTH, initial_indent="# ", subsequent_indent="#   ")) or "#"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: object) -> str:
    """Return a value in TOML: a string, a number, a boolean, or a list or inline table of them; anything else as a string."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, list | tuple):
        inner = [_toml(one) for one in value]
        return f"[{', '.join(inner)}]" if len(inner) < 2 else "[\n" + "".join(f"    {one},\n" for one in inner) + "]"
    return strict_json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
