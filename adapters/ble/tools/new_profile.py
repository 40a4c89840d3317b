"""Write a new profile of a Bluetooth device from what a person says of it and its table of characteristics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.tools.characteristic_table import CharacteristicRow, read_characteristics
from adapters.ble.tools.new_case import new_case
from gateway.adapter import NewProfile, ProfileFacts, in_order, scale_text, toml_text, with_points


def new_profile(facts: ProfileFacts) -> NewProfile:
    """Return the text of the profile, which loads as it is where the table has points, and its first case folder.

    Raises:
        ValueError: the table is none; the text says why.
    """
    rows, refused = read_characteristics(facts.points)
    head = [
        "",
        "# How a scan recognizes the device: its advertisement; without it, name the profile under `devices` of the entry:",
        "# [[match]]",
        '# name = "SP2-.*"',
    ]
    if any(row.is_notified for row in rows):
        head += ["", "[connection]", 'mode = "stay"   # for notifications; "visit": connect, wait for one, disconnect']
    head += ["", "# A number that says that there is no value: `not_available = [0xFFFF]` in its point."]
    written = with_points(facts, head, rows, _points, PROFILE_FILES)
    case = new_case(PROFILE_FILES.parse(written.text, Path(f"{facts.name}.toml"))) if written.points else {}
    return NewProfile(text=written.text, points=written.points, refused=in_order(refused, written.refused), case=case)


def _points(rows: Sequence[CharacteristicRow]) -> str:
    return "\n\n".join("\n".join(_point(row)) for row in rows)


def _point(row: CharacteristicRow) -> list[str]:
    lines = [
        "[[points]]",
        f"metric = {toml_text(row.metric)}",
        f"service = {toml_text(row.service)}",
        f"characteristic = {toml_text(row.characteristic)}",
        f'format = "{row.format}"',
    ]
    if row.at:
        lines.append(f"at = {row.at}")
    if row.length is not None:
        lines.append(f"length = {row.length}")
    if row.is_big_endian:
        lines.append('byte_order = "big"')
    if row.scale != 1:
        lines.append(f"scale = {scale_text(row.scale)}")
    if row.unit:
        lines.append(f"unit = {toml_text(row.unit)}")
    if row.is_notified:
        lines.append("notify = true")
    return lines
