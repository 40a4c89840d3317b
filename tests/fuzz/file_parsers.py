"""The parsers of files that people write: configuration, environment, profiles of each adapter, advertisers."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fuzzed_parser import FuzzedParser
from hostile_inputs import NASTY_TEXTS, cached, damaged, keys_of, toml_texts
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from adapters.ble.advertisements import advertiser_files
from adapters.ble.advertisements.special_formats import PayloadTooShort
from adapters.ble.profile.library import PROFILE_FILES as BLE_PROFILES
from adapters.ble.profile.read_plan import expected_services, plan_reads
from adapters.modbus.polling.plan import TransactionCost, plan_blocks
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS_PROFILES
from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.library import PROFILE_FILES as SERIAL_PROFILES
from adapters.serial.profile.protocol import DeviceProtocol
from gateway.config.loading import load
from gateway.config.mistakes import ENV_PREFIX
from gateway.config.salvage import salvage
from gateway.config.settings import Settings
from gateway.errors import SettingsError
from gateway.field.plugins import installed, usable
from gateway.profiles.files import ProfileError, ProfileFiles
from gateway.toml_lines import line_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "deploy" / "gateway.example.toml"

CONFIGURATION = """\
[gateway]
name = "Boiler room"
[cloud]
entry_url = "https://entry.example"
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
telemetry_every = 60
may = "command"
[store]
path = "store.sqlite3"
most_samples = 2000
[admission]
policy = "matched"
[status]
host = "127.0.0.1"
port = 0
[log]
level = "info"
[models]
power-meter = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
[child."sn:acme/1"]
may = "observe"
[[adapter]]
type = "modbus"
name = "plant"
hosts = ["192.168.1.20", "plc:1502"]
serial = [{ port = "/dev/ttyUSB0", baudrate = 9600, parity = "N" }]
devices = [{ unit = 1, profile = "abb-b23", name = "Main meter" }]
units = [1, 2]
timeout = 0.5
[[adapter]]
type = "serial"
ports = ["/dev/ttyUSB1"]
devices = [{ port = "/dev/ttyUSB1", profile = "mt-sics" }]
[[adapter]]
type = "ble"
allow = ["A4:C1:38:*", "name:Kitchen*"]
devices = [{ address = "A4:C1:38:00:00:01", bind_key = "000102030405060708090a0b0c0d0e0f" }]
"""


@cache
def _adapters() -> dict[str, Any]:
    return usable(installed())


@cache
def _configuration_texts() -> SearchStrategy[str]:
    example = EXAMPLE.read_text(encoding="utf-8")
    fields = {name for adapter in _adapters().values() for name in adapter.settings_model.model_fields}
    return toml_texts([CONFIGURATION, CONFIGURATION, example], [*keys_of([CONFIGURATION, example]), *sorted(fields)])


@contextmanager
def _as_file(raw: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_bytes(raw)
        yield file


def _load_file(raw: bytes) -> None:
    with _as_file(raw) as file:
        salvaged = salvage(file)
        assert isinstance(salvaged.status.port, int)
        load(file, _adapters())


def _environments() -> SearchStrategy[dict[str, str]]:
    sections = sorted(Settings.model_fields)
    keys = ("NAME", "PORT", "HOST", "HARDWARE_KEY", "LEVEL", "PATH", "MAY", "0__TYPE", "0", "TYPE", "X", "")
    names = st.one_of(
        st.tuples(st.sampled_from(sections), st.sampled_from(keys)).map(lambda pair: f"{ENV_PREFIX}{pair[0].upper()}__{pair[1]}"),
        st.sampled_from(sections).map(lambda section: f"{ENV_PREFIX}{section.upper()}"),
        st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789", max_size=20).map(lambda rest: f"XYTE_GATEWAY_{rest}"),
    )
    json_texts = (
        '{"name": "x"}',
        '[{"type": "modbus", "hosts": ["h"]}]',
        "[]",
        "{}",
        "[" * 1000 + "]" * 1000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        "1" * 5000,
    )
    values = st.sampled_from(json_texts) | st.sampled_from(NASTY_TEXTS) | st.text(max_size=30)
    return st.dictionaries(names, values.map(lambda text: text.replace("\0", "").encode("utf-8", "replace").decode()), max_size=4)


def _load_environment(variables: dict[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XYTE_GATEWAY")}
    with patch.dict(os.environ, {**kept, **variables}, clear=True):
        salvage(None)
        load(None, _adapters())


PAYLOAD = bytes(range(256)) + b"\xff" * 256


def _decode_modbus(profile: Any) -> None:
    points = [*profile.place(frozenset(profile.group_seconds), profile.least_layout)]
    for block in plan_blocks(points, TransactionCost()):
        list(block.decoder().decode(PAYLOAD, "child", AT))


def _decode_bluetooth(profile: Any) -> None:
    plan = plan_reads(profile, profile.group_seconds, expected_services(profile))
    for reader in (*plan.reads, *plan.subscriptions):
        with suppress(PayloadTooShort):
            list(reader.decode(PAYLOAD, "child", AT))


def _decode_serial(profile: Any) -> None:
    protocol, framer = DeviceProtocol(profile), framer_for(profile.framing)
    for frame in (*framer.feed(b"S S      12.50 g\r\n" + PAYLOAD), *framer.expire(1e9)):
        protocol.read_message(frame.payload)


def _parse_profile(files: ProfileFiles[Any], decode: Callable[[Any], None], text: str) -> None:
    name = next((line.partition("=")[2].strip(' "') for line in text.splitlines() if line.startswith("name")), "profile")
    profile = files.parse(text, Path(f"{name or 'profile'}.toml"))
    assert profile.point_count >= 0
    assert isinstance(profile.command_specs, list | tuple)
    for seconds in profile.intervals.values():
        assert seconds.total_seconds() > 0
    for spec in profile.setting_specs:
        assert spec.name
    decode(profile)


def _profile_texts(folder: Path) -> SearchStrategy[str]:
    examples = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.toml"))]
    return toml_texts(examples, keys_of(examples))


def _profiles(name: str, files: ProfileFiles[Any], decode: Callable[[Any], None]) -> FuzzedParser:
    assert files.folder is not None
    return FuzzedParser(
        name=f"profiles: {name}",
        inputs=cached(partial(_profile_texts, files.folder)),
        parse=partial(_parse_profile, files, decode),
        errors=(ProfileError,),
    )


PARSERS = (
    FuzzedParser(
        name="configuration: gateway.toml",
        inputs=cached(
            lambda: (
                _configuration_texts().map(lambda text: text.encode("utf-8", "surrogatepass")) | damaged([CONFIGURATION.encode()])
            )
        ),
        parse=_load_file,
        errors=(SettingsError,),
    ),
    FuzzedParser(
        name="configuration: environment", inputs=cached(_environments), parse=_load_environment, errors=(SettingsError,)
    ),
    FuzzedParser(
        name="configuration: line of a mistake",
        inputs=cached(
            lambda: st.tuples(
                _configuration_texts(), st.sampled_from([("adapter", 1, "name"), ("store", "path"), ("models", "*"), ()])
            )
        ),
        parse=lambda given: line_of(*given),
    ),
    _profiles("modbus", MODBUS_PROFILES, _decode_modbus),
    _profiles("bluetooth", BLE_PROFILES, _decode_bluetooth),
    _profiles("serial", SERIAL_PROFILES, _decode_serial),
    FuzzedParser(
        name="profiles: advertisers",
        inputs=cached(lambda: _profile_texts(advertiser_files.BUILT_IN)),
        parse=lambda text: advertiser_files.parse(text, Path("ruuvi.toml")),
        errors=(ProfileError,),
    ),
)
