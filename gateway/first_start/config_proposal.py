"""Propose a configuration from the devices that were found, with a mark where a person must add something. Pure."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from gateway import strict_json
from gateway.first_start.first_look import ScannedBus
from gateway.models import Found

MOST_DEVICES: Final = 50
"""So many devices of a bus are named in comments."""

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


SET_UP_HEAD = """\
# Configuration of a Xyte gateway, written by its set-up page. Later changes need a restart.
# `xyte-gateway check` checks the file. All keys and their meaning: deploy/gateway.example.toml, and `xyte-gateway adapters`.

"""

_MARK: Final = "# Nobody has changed this file as long as this number fits it: "
"""The set-up page may replace a proposal that nobody has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person has answered in the set-up, as far as it stands in the configuration."""

    name: str
    key_file: str | None
    """`None` where the environment gives the key."""
    entry_url: str | None = None
    """`None` for the usual one."""
    allow_plain_http: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    """Device family -> id of its Xyte model."""
    admits_later: bool = True
    """Whether devices that are found later become children by themselves."""
    kept: frozenset[str] = frozenset()
    """The types of the entries that a person has named, which are used whether a device was found with them or not."""


def config_from(
    answers: Answers, tables: Mapping[str, Mapping[str, Any]], buses: Sequence[ScannedBus], *, store: str | None = None
) -> str:
    """Return the text of the configuration that a person has put together.

    Args:
        answers: what they have answered.
        tables: each adapter's own keys, by its type.
        buses: the buses and devices that were found with them.
        store: the file for keys and samples; `None` for the default.
    """
    cloud = ["[cloud]"]
    if answers.entry_url is not None:
        cloud.append(f"entry_url = {_toml(answers.entry_url)}")
    if answers.allow_plain_http:
        cloud.append("allow_plain_http = true                # for an emulator: keys are sent in clear text")
    if answers.key_file is not None:
        cloud.append(f"hardware_key_file = {_toml(answers.key_file)}")
    policy = "matched" if answers.admits_later else "ask"
    meaning = (
        "each device whose family has a model below" if answers.admits_later else "a person decides about each further device"
    )
    models = [f"{_key(family)} = {_toml(model)}" for family, model in sorted(answers.models.items())]
    parts = [
        f"{SET_UP_HEAD}[gateway]\nname = {_toml(answers.name)}\n",
        "\n".join(cloud) + "\n",
        *([] if store is None else [f"[store]\npath = {_toml(store)}\n"]),
        f"[admission]\npolicy = {_toml(policy)}                     # {meaning}\n",
        "\n".join(["[models]                                # device family = the id of the Xyte model", *models, ""]),
    ]
    for kind, table in tables.items():
        of_kind = [bus for bus in buses if bus.entry == kind]
        parts.append("\n".join(_entry(kind, table, of_kind, is_wanted=kind in answers.kept)))
    return "\n".join(parts)


def marked(proposal: str) -> str:
    """Return a proposal with the mark by which it is known as long as nobody changes it."""
    return f"{proposal}\n{_MARK}{_digest(proposal)}\n"


def is_untouched_proposal(text: str) -> bool:
    """Whether a file is a proposal that nobody has changed."""
    proposal, mark, digest = text.rpartition(f"\n{_MARK}")
    return bool(mark) and re.fullmatch(r"[0-9a-f]+\n", digest) is not None and digest == f"{_digest(proposal)}\n"


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


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


def _entry(kind: str, table: Mapping[str, Any], buses: Sequence[ScannedBus], *, is_wanted: bool = False) -> Iterator[str]:
    """Write an entry; one that found no device, and that no person has named, is commented out, with the reason."""
    off = "# " if not is_wanted and buses and not any(bus.devices for bus in buses) else ""
    for bus in buses:
        yield from _bus_comments(bus)
    yield from (off + line for line in entry_text(kind, table).split("\n"))
    yield ""


def entry_text(kind: str, table: Mapping[str, Any]) -> str:
    """Return the `[[adapter]]` entry with these keys in TOML.

    Args:
        kind: the type of the adapter.
        table: the keys, without `type`.
    """
    lines = ["[[adapter]]", f"type = {_toml(kind)}", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines)


def _bus_comments(bus: ScannedBus) -> Iterator[str]:
    if bus.problem is not None:
        yield _comment(f"{bus.bus}: {bus.problem}")
    elif not bus.devices:
        yield _comment(f"{bus.bus}: no device was found; remove the comment signs to use it anyway")
    for found in islice(bus.devices.values(), MOST_DEVICES):
        yield _comment(f"{bus.bus}: {_device_text(found)}")
    if len(bus.devices) > MOST_DEVICES:
        yield _comment(f"{bus.bus}: and {len(bus.devices) - MOST_DEVICES} others")


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
