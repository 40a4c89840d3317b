"""The parsers of what browsers and programs send to the status page and to the emulator."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fuzzed_parser import FuzzedParser, check_text
from hostile_inputs import NASTY_TEXTS, cached, damaged, json_values, texts
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gateway.emulator import control_requests
from gateway.emulator.api_types import ApiError
from gateway.emulator.cloud import Cloud
from gateway.emulator.telemetry import read_message
from gateway.models import parse_name
from gateway.network_search.named_hosts import parse_networks
from gateway.status.auth.sign_in import own_path
from gateway.status.model import decode_id, encode_id, printable_text
from gateway.status.render.pages import PageAddress
from gateway.status.render.paging import ListQuery

REQUESTS = tuple(
    one
    for one in vars(control_requests).values()
    if isinstance(one, type) and issubclass(one, control_requests.ControlRequest) and one is not control_requests.ControlRequest
)
ADDRESSES = (
    *(
        "/",
        "/waiting?search=x&page=2&show=ignored",
        "/cloud",
        "/doctor",
        f"/children/{encode_id('sn:acme/1')}?page=1",
        "//evil.example",
        "/\\evil",
    ),
    *(
        f"/buses/{encode_id('modbus', '/dev/ttyUSB0')}",
        "/buses/..",
        "/children/%00",
        "/?page=99999999999",
        "/?show=trouble",
        "http://[x/",
        "/%",
        "?",
    ),
)


def _addresses() -> st.SearchStrategy[str]:
    mutated = damaged([one.encode() for one in ADDRESSES], most=80).map(lambda raw: raw.decode("utf-8", "replace"))
    return st.sampled_from(ADDRESSES) | mutated | texts().map(lambda text: f"/?search={quote(text, errors='replace')}")


def _page_address(text: str) -> None:
    address = PageAddress.parse(text)
    if address is not None:
        address.query.encode().encode()


def _list_query(parameters: dict[str, str]) -> None:
    query = ListQuery.parse(parameters)
    assert query.page >= 1
    query.encode(page=2).encode("ascii")


def _own_path(text: str) -> None:
    path = own_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))


def _id(word: str) -> None:
    names = decode_id(word)
    assert decode_id(encode_id(*names)) == (names or ("",))


def _control(given: tuple[type[BaseModel], Any]) -> None:
    model, body = given
    model.model_validate(body)


def _telemetry(body: Any) -> None:
    read_message(Cloud(), body if isinstance(body, dict) else {}, size=100)


PARSERS = (
    FuzzedParser(name="page: addresses", inputs=cached(_addresses), parse=_page_address),
    FuzzedParser(
        name="page: search and page number",
        inputs=cached(
            lambda: st.dictionaries(
                st.sampled_from(["search", "show", "page", "x"]), texts() | st.sampled_from(["1", "2", "trouble"])
            )
        ),
        parse=_list_query,
    ),
    FuzzedParser(name="page: where to go back", inputs=cached(_addresses), parse=_own_path),
    FuzzedParser(
        name="page: ids in addresses",
        inputs=cached(lambda: texts() | damaged([encode_id("a", "b").encode()], most=80).map(lambda raw: raw.decode("latin-1"))),
        parse=_id,
    ),
    FuzzedParser(
        name="page: hosts and networks that people name",
        inputs=cached(
            lambda: (
                texts()
                | damaged([b"192.168.1.0/24", b"10.0.0.5:1502,meter.local", b"[fe80::1]:502", b"fd00::/120"], most=80).map(
                    lambda raw: raw.decode("latin-1")
                )
            )
        ),
        parse=lambda written: list(parse_networks([written]).addresses({})),
        errors=(ValueError,),
    ),
    FuzzedParser(name="page: names that people give", inputs=cached(texts), parse=parse_name, errors=(ValueError,)),
    FuzzedParser(
        name="page: texts that are shown",
        inputs=cached(lambda: texts() | st.sampled_from(NASTY_TEXTS)),
        parse=lambda text: check_text(str(printable_text(text))),
    ),
    FuzzedParser(
        name="emulator: control actions",
        inputs=cached(
            lambda: st.tuples(
                st.sampled_from(REQUESTS),
                json_values(
                    {name for one in REQUESTS for name in one.model_fields}, ("add", "customer", "firmware", "AAAA", "offline")
                ),
            )
        ),
        parse=_control,
        errors=(ValidationError,),
    ),
    FuzzedParser(
        name="emulator: telemetry",
        inputs=cached(
            lambda: st.dictionaries(
                st.sampled_from(["status", "timestamp", "telemetries", "override"]),
                json_values(("a", "status"), ("online", "true")),
                max_size=4,
            )
        ),
        parse=_telemetry,
        errors=(ApiError,),
    ),
)
