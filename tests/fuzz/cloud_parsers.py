"""The parsers of what the cloud answers: status, headers and JSON of each call, links, checksums, parameters, configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from fuzzed_parser import FuzzedParser, check_text
from hostile_inputs import NASTY_TEXTS, cached, damaged, json_bodies, json_values, texts
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydantic import SecretStr

from gateway.cloud.files.checksums import parse_checksum
from gateway.cloud.files.links import LinkPolicy, file_name_of
from gateway.cloud.protocol import messages
from gateway.cloud.protocol.response_errors import ApiCall, HubResponse, http_date, parse_response, retry_after_seconds
from gateway.cloud.protocol.telemetry_flags import FlagTracker, describe_event
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, validated_hub_url, validated_url, with_scheme
from gateway.command_parameters import masked_parameters, validate_parameters
from gateway.config.cloud_overlay import overlay
from gateway.config.entries import entry_from
from gateway.config.settings import Configuration, Settings
from gateway.errors import CommandRejected, ConfigurationRejected, FileRefused, HubError
from gateway.field.plugins import installed, usable
from gateway.profiles.parameters import ParameterKind, ParameterSpec, parameters_model

KEY = SecretStr("ZzQ7k3V9mT2xB8nL5pR1")

NAMES = (
    *("id", "access_key", "hub_url", "hub_url_static_cert", "mqtt_hub_url", "error", "success", "command", "commands", "length"),
    *(
        "config",
        "version",
        "name",
        "status",
        "partner",
        "parameters",
        "device_id",
        "action",
        "add",
        "remove",
        "data",
        "expires_at",
    ),
    *(
        "incident_id",
        "sn",
        "config_version",
        "details",
        "tunnel",
        "location",
        "coordinates",
        "utc_offset",
        "info_version",
        "state",
    ),
    *("latest_fw_version", "latest_fw_file_id", "space_data_version", "new_licenses", "url", "checksum", "signature", "a", "b"),
)
WORDS = (
    "us-1.endpoints.xyte.io",
    "in_progress",
    "done",
    "add",
    "null",
    "set",
    "1.0.0",
    "a",
    "2025-02-03T04:05:06Z",
    "https://[x/",
)

EXAMPLES = (
    {"id": "a1", "access_key": "key", "hub_url": "us-1.endpoints.xyte.io", "mqtt_hub_url": None},
    {"command": True, "config_version": 3, "info_version": 1, "space_data_version": 2, "latest_fw_version": "1.2.3"},
    {"id": 7, "name": "set", "parameters": {"power": 1.5}, "status": "pending"},
    [{"id": 7, "device_id": "a", "name": "set", "parameters": {}}, {"id": "x"}],
    {"a": {"success": True, "command": True}, "b": {"error": "not a valid model"}},
    {"version": 4, "config": {"adapter": {}}, "last_updated": "2025-02-03T04:05:06Z"},
    [{"id": 1, "data": "abc", "action": "add", "signature": "s"}],
    {"id": "d", "name": "n", "partner": {"sn": "1", "mac": "02:00", "vendor": "v", "model": "m"}, "config": {"version": 1}},
    {"error": "Limit reached"},
)

CALLS: dict[str, Callable[[object], object]] = {
    "credentials": messages.parse_credentials,
    "bulk registration": partial(messages.parse_registrations, secrets=(KEY,)),
    "telemetry flags": messages.parse_telemetry_response,
    "bulk telemetry": partial(messages.parse_telemetry_responses, requested=["a", "b"], secrets=(KEY,)),
    "command": messages.parse_command,
    "commands": messages.parse_commands,
    "configuration": messages.parse_configuration,
    "configuration version": messages.parse_config_version,
    "licence": messages.parse_license,
    "licences": messages.parse_licenses,
    "children": messages.LISTED_CHILD.parse_list,
    "device info": messages.DEVICE_INFO.parse,
    "space": messages.SPACE.parse,
    "incident id": messages.parse_incident_id,
    "incidents": messages.INCIDENT.parse_usable,
    "file": messages.MODEL_FILE.parse,
    "files": messages.MODEL_FILE.parse_usable,
    "dump receipt": messages.DUMP_RECEIPT.parse,
    "dump length": messages.parse_dump_length,
}

DATES = (
    *(
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999999",
        "Mon, 31 Dec 9999 23:59:59 -2359",
        "1 Jan 0001 00:00:00 +2300",
    ),
    *(
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "99 Foo 1994",
        "1",
        "-5",
        "1e309",
        "nan",
        "inf",
        "9" * 400,
        "",
    ),
    *("1 Jan 1 0:0:0 +0001", "31 Dec 9999 24:00:00", "Thu, 01 Jan 1970 00:00:60 GMT", "0", " 120 ", "1_0", "٣"),
)
LINKS = (
    *(
        "http://[x/",
        "https://℀.example",
        "//",
        "https://a@b:c@d/",
        "https://host:99999/",
        "https://[::1]:80/p",
        "/path",
        "https://" + "a" * 5000,
    ),
    *(
        "us-1.endpoints.xyte.io",
        "https://169.254.169.254/",
        "https://hub.example/f/firmware-1.2.bin?x=1",
        "https://%00/",
        "http://1.2.3.4",
    ),
)
STATUSES = (
    200,
    201,
    204,
    206,
    301,
    302,
    307,
    308,
    400,
    401,
    403,
    404,
    407,
    408,
    409,
    413,
    422,
    425,
    429,
    451,
    500,
    502,
    503,
    504,
    599,
    100,
    99,
    999,
)


def _header_values(examples: tuple[str, ...]) -> st.SearchStrategy[str]:
    mutated = damaged([one.encode("utf-8", "replace") for one in examples], most=60).map(
        lambda raw: raw.decode("utf-8", "replace")[:8000]
    )
    return st.sampled_from(examples) | mutated | st.text(max_size=30)


@st.composite
def _responses(draw: DrawFn) -> tuple[int, dict[str, str], bytes, bool]:
    status = draw(st.sampled_from([200, 200, 200, *STATUSES]) | st.integers(100, 599))
    headers = {}
    if status // 100 == 3 or draw(st.booleans()):
        headers["Location"] = draw(_header_values(LINKS))
    if status in {429, 503} or draw(st.booleans()):
        headers["Retry-After"] = draw(_header_values(DATES))
        headers["Date"] = draw(_header_values(DATES))
    return status, headers, draw(_bodies()), draw(st.booleans())


_bodies = cached(lambda: json_bodies(NAMES, WORDS, EXAMPLES))
_any_response = cached(_responses)


def _read_response(parse: Callable[[object], object], given: tuple[int, dict[str, str], bytes, bool]) -> None:
    status, headers, raw, has_entries = given
    call = ApiCall(
        name="Some Call", method="GET", url="https://hub.example/v1/x", key=KEY, secrets=(KEY,), has_entries=has_entries
    )
    parse_response(call, HubResponse(status, headers, raw), parse)


def _dates(given: tuple[str, str]) -> None:
    after, date = given
    seconds = retry_after_seconds({"Retry-After": after, "Date": date}, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert seconds is None or seconds >= 0
    if (moment := http_date(date)) is not None:
        datetime.now(UTC) - moment  # what the clock of the server is compared with


def _flags(bodies: list[object]) -> None:
    tracker = FlagTracker()
    for body in bodies:
        for event in tracker.new_events("a", messages.parse_telemetry_response(body)):
            check_text(describe_event(event))


def _hub_url(text: str) -> None:
    with_scheme(text)
    for allow in (True, False):
        url = validated_hub_url(text, entry_url="https://entry.example", allow_plain_http=allow, hub_hosts=("*.example",))
        assert validated_url(url, allow_plain_http=allow) == url


def _link(given: tuple[str, str]) -> None:
    url, location = given
    policy = LinkPolicy(hub_url="https://hub.example", file_hosts=("*.cdn.example",))
    policy.check(url)
    file_name_of(url)
    policy.redirected(url, location)


@cache
def _spec():
    parameters = (
        ParameterSpec(name="power", kind=ParameterKind.NUMBER, between=(0, 100)),
        ParameterSpec(name="level", kind=ParameterKind.WHOLE_NUMBER, between=(0, 2**31), default=1),
        ParameterSpec(name="mode", kind=ParameterKind.TEXT, choices=("on", "off"), default="on"),
        ParameterSpec(name="text", kind=ParameterKind.TEXT, characters=(0, 20), default=""),
        ParameterSpec(name="pin", kind=ParameterKind.TEXT, characters=(4, 8), is_secret=True),
    )
    from gateway.models import CommandSpec

    return CommandSpec(name="set", title="Set", description="", parameters=parameters_model(parameters), is_proven=False)


def _received(value: object) -> Any:
    """Return a value as it is after a response with it was read."""
    return HubResponse(200, {}, json.dumps(value).encode()).body


def _parameters(sent: Any) -> None:
    given = _received(sent)
    if isinstance(given, dict):
        masked_parameters(_spec(), given)
        validate_parameters(_spec(), given)


@cache
def _base() -> tuple[Configuration, dict[str, Any]]:
    adapters = usable(installed())
    tables = (
        {"type": "modbus", "name": "plant", "hosts": ["127.0.0.1"]},
        {"type": "serial", "name": "lines", "ports": ["/dev/ttyUSB0"]},
        {"type": "ble"},
    )
    settings = Settings(cloud={"hardware_key": "0f0e0d0c-1111-4222-8333-444455556666"}, adapter=tables, models={"meter": "m"})
    return Configuration(None, settings, tuple(entry_from(table, adapters) for table in tables)), adapters


def _overlay(sent: Any) -> None:
    base, adapters = _base()
    content = _received(sent)
    if isinstance(content, dict):
        overlay(base, content, adapters)


@cache
def _configuration_names() -> tuple[str, ...]:
    _, adapters = _base()
    sections = ("cloud", "admission", "log", "models", "adapter", "plant", "lines", "ble", "store", "status", "gateway", "child")
    keys = {key for adapter in adapters.values() for key in adapter.settings_model.model_fields}
    return (*sections, *sorted(keys), "telemetry_every", "policy", "level", "*", "meter", "hardware_key")


PARSERS = (
    *(
        FuzzedParser(name=f"hub: {name}", inputs=_any_response, parse=partial(_read_response, parse), errors=(HubError,))
        for name, parse in CALLS.items()
    ),
    FuzzedParser(
        name="hub: dates and waits", inputs=cached(lambda: st.tuples(_header_values(DATES), _header_values(DATES))), parse=_dates
    ),
    FuzzedParser(
        name="hub: flags in turn",
        inputs=cached(
            lambda: st.lists(st.dictionaries(st.sampled_from(NAMES), json_values(NAMES, WORDS), max_size=6), max_size=3)
        ),
        parse=_flags,
    ),
    FuzzedParser(
        name="hub: hub_url", inputs=cached(lambda: _header_values((*LINKS, *NASTY_TEXTS))), parse=_hub_url, errors=(UntrustedUrl,)
    ),
    FuzzedParser(
        name="hub: links to files",
        inputs=cached(lambda: st.tuples(_header_values(LINKS), _header_values(LINKS))),
        parse=_link,
        errors=(FileRefused,),
    ),
    FuzzedParser(
        name="hub: checksums",
        inputs=cached(lambda: _header_values(("sha256:" + "ab" * 32, "md5: 1B2M2Y8AsgTpgAmY7PhCfg==", "ab" * 20))),
        parse=parse_checksum,
        errors=(FileRefused,),
    ),
    FuzzedParser(
        name="hub: parameters of a command",
        inputs=cached(lambda: json_values(("power", "level", "mode", "text", "pin"), ("on", "off", "1", "inf"))),
        parse=_parameters,
        errors=(CommandRejected,),
    ),
    FuzzedParser(
        name="hub: configuration of the gateway",
        inputs=cached(
            lambda: st.dictionaries(
                st.sampled_from(_configuration_names()) | texts(),
                json_values(_configuration_names(), ("all", "ask", "observe", "info", "1", "/dev/ttyUSB0", "127.0.0.1")),
                max_size=4,
            )
        ),
        parse=_overlay,
        errors=(ConfigurationRejected,),
    ),
)
