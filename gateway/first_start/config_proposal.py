"""A configuration to begin with, made of what was found: all that a person has to add is marked. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.first_start.first_look import Seen
from gateway.models import Found

WIDTH = 110
"""A comment is wrapped there."""

HEAD = """\
# Configuration of a Xyte gateway, proposed by itself from what it found around this machine.
# What it cannot know stands in <angle brackets>. While the gateway waits, it is read again when it is saved, so put the
# hardware key in last; what is changed afterwards takes a restart. `xyte-gateway check` checks it.
# All keys and what they mean: deploy/gateway.example.toml, and `xyte-gateway adapters`.

[gateway]
name = "Xyte gateway"                   # display name in the cloud

[cloud]
# hardware_key = "<the model's secret from the Partner Portal>"
# hardware_key_file = "/run/secrets/hardware_key"   # better than the line above
"""


def proposal(tables: Mapping[str, Mapping[str, Any]], seen: Sequence[Seen], *, store: str | None = None) -> str:
    """Return the text of the file.

    Args:
        tables: each adapter's own keys, by its word in the config.
        seen: what was met with them.
        store: the file in which keys and samples are to be kept; left out where the default will do.
    """
    families = sorted({found.family for bus in seen for found in bus.devices.values() if found.family})
    parts = [HEAD, *([] if store is None else [f"[store]\npath = {_toml(store)}\n"]), "\n".join(_models(families))]
    parts += ["\n".join(_entry(kind, table, [bus for bus in seen if bus.entry == kind])) for kind, table in tables.items()]
    return "\n".join(parts)


def _models(families: Iterable[str]) -> Iterator[str]:
    yield "[models]                                # device family = the id of the Xyte model (Partner Portal, Model, Info)"
    for family in families:
        yield f'# {_key(family)} = "<model id>"'
    yield '# "*" = "<model id>"                    # serves every family that is not named'
    yield ""


def _entry(kind: str, table: Mapping[str, Any], buses: Sequence[Seen]) -> Iterator[str]:
    """Write an entry; one by which nobody was met is left out by comment signs, and says why."""
    off = "# " if buses and not any(bus.devices for bus in buses) else ""
    for bus in buses:
        yield from _told(bus)
    said = ["[[adapter]]", f"type = {_toml(kind)}", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    yield from (off + line for line in "\n".join(said).split("\n"))
    yield ""


def _told(bus: Seen) -> Iterator[str]:
    if bus.problem is not None:
        yield _comment(f"{bus.bus}: {bus.problem}")
    elif not bus.devices:
        yield _comment(f"{bus.bus}: nobody was heard; take the signs away to use it all the same")
    for found in bus.devices.values():
        yield _comment(f"{bus.bus}: {_device(found)}")


def _device(found: Found) -> str:
    known = f", {found.family}, profile {found.profile}" if found.profile else ", which no profile fits"
    return f"{found.name} at {found.address}{known}"


def _comment(text: str) -> str:
    """Return lines that say nothing to the gateway: what devices say may not break out of them."""
    readable = "".join(letter if letter.isprintable() else " " for letter in text)
    return "\n".join(textwrap.wrap(readable, WIDTH, initial_indent="# ", subsequent_indent="#   ")) or "#"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: object) -> str:
    """Return a value as TOML has it: a text, a number, true or false, or a list or an inline table of them; all else as text."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, list | tuple):
        inner = [_toml(one) for one in value]
        return f"[{', '.join(inner)}]" if len(inner) < 2 else "[\n" + "".join(f"    {one},\n" for one in inner) + "]"
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
