"""List the answers, as raw bytes, that servers and middleboxes give and that no client may be ended by. Pure.

Each has a name, by which a fault (`faults.py`) asks for it. `redirect-`, `date-`, `body-`, `value-` and `shape-` say what is
wrong with it; `status-` is one of the statuses of the reference, section 14, with each kind of body; `endless-` never ends.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

Parts: TypeAlias = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it stands on the wire."""

    make: Callable[[], Parts]
    """Make its parts, some of which have megabytes; each is written by itself."""
    is_endless: bool = False
    """The last part is written again and again, until the client hangs up."""
    means_done: bool = True
    """Whether a call with this answer is carried out: not, where the answer says clearly that it was not."""


def http_answer(status: int, body: bytes = b"", *headers: bytes) -> bytes:
    """Return an answer with its length and these header lines, without a check of any of it."""
    lines = [b"HTTP/1.1 %d Because" % status, *headers, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _nested(depth: int, opening: bytes = b"[", innermost: bytes = b"", closing: bytes = b"]") -> bytes:
    return opening * depth + innermost + closing * depth


_LOCATIONS: Final[Mapping[str, Callable[[], bytes]]] = {
    "broken-ipv6": lambda: b"http://[x/",
    "broken-ipv6-without-scheme": lambda: b"//[",
    "host-changed-by-nfkc": lambda: "http://\N{ACCOUNT OF}/".encode(),
    "ipv6-zone": lambda: b"http://[fe80::1%25eth0]:99999/",
    "port-of-5000-digits": lambda: b"http://h:" + b"9" * 5000 + b"/",
    "port-in-words": lambda: b"http://h:port/",
    "no-utf-8": lambda: b"http://\xff\xfe/",
    "100-kb": lambda: b"http://h/" + b"a" * 100_000,
    "7-kb-of-host": lambda: b"http://" + b"a" * 7000,
    "escape-sequence": lambda: b"http://\x1b[31mred/",
    "user-and-password": lambda: b"http://user:secret-word@h/",
    "metadata-service": lambda: b"http://169.254.169.254/latest/meta-data/",
    "empty": lambda: b"",
}
_DATES: Final[Mapping[str, bytes]] = {
    "zone-overflows": b"Mon, 03 Feb 2025 04:05:36 +99999999",
    "zone-of-400-digits": b"Mon, 03 Feb 2025 04:05:36 +" + b"9" * 400,
    "year-overflows": b"Mon, 03 Feb 99999 04:05:36 GMT",
    "year-of-400-digits": b"Mon, 03 Feb " + b"9" * 400 + b" 04:05:36 GMT",
    "last-year": b"Fri, 31 Dec 9999 23:59:59 -2359",
    "first-year": b"Mon, 01 Jan 0001 00:00:00 +2359",
    "day-0": b"Mon, 00 Feb 2025 04:05:36 GMT",
    "negative": b"-5",
    "10-to-the-400": b"1" + b"0" * 400,
    "1e300": b"1e300",
    "nan": b"nan",
    "infinity": b"-infinity",
    "fraction": b"1.5e-3",
    "list": b"1, 2, Mon, 03 Feb 2025",
    "unicode-digits": "\N{FULLWIDTH DIGIT FIVE}".encode(),
    "no-utf-8": b"\xff\xfe",
    "empty": b"",
}
BODIES: Final[Mapping[str, Callable[[], bytes]]] = {
    "list-nested-1000-deep": lambda: _nested(1000),
    "list-nested-100000-deep": lambda: _nested(100_000),
    "object-nested-900-deep": lambda: _nested(900, b'{"error":', b"1", b"}"),
    "object-nested-100-deep": lambda: _nested(100, b'{"error":', b"1", b"}"),
    "brackets-that-never-close": lambda: b"[" * 500_000,
    "million-empty-lists": lambda: b"[" + b"[]," * 1_000_000 + b"[]]",
    "error-of-5-mb": lambda: json.dumps({"error": "x\x1b[31m\n" * 500_000}, allow_nan=False).encode(),
    "error-that-is-a-deep-list": lambda: b'{"error":' + _nested(60) + b"}",
    "lone-surrogates": lambda: rb'{"error":"\ud800","id":"\udfff","\ud801":1}',
    "nan-and-infinity": lambda: b'{"error":NaN,"id":Infinity,"version":-Infinity,"length":1e999,"config_version":NaN}',
    "huge-numbers": lambda: b'{"id":%b,"version":%b,"length":-1e308,"config_version":1e300}' % (b"9" * 4000, b"9" * 30),
    "duplicate-keys": lambda: b'{"id":"a","id":7,"access_key":null,"access_key":"k","error":"","error":null}',
    "two-byte-order-marks": lambda: b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "utf-16": lambda: "\ufeff{}".encode("utf-16"),
    "zeros": lambda: bytes(10_000),
    "no-utf-8": lambda: bytes(range(256)) * 40,
    "id-of-1-mb": lambda: json.dumps({"id": "a" * 1_000_000, "access_key": "b" * 1_000_000}, allow_nan=False).encode(),
    "id-that-leads-elsewhere": lambda: b'{"id":"..","access_key":"k","incident_id":".."}',
    "list-of-everything": lambda: b'[null,true,1,"x",[],{},[[]],{"id":{}},{"id":[]},{"error":{}}]',
    "words-for-objects": lambda: b'{"config":"x","partner":7,"location":[],"state":1,"details":"x","parameters":[1],"c":1}',
    "odd-results": lambda: b'{"c":{"error":[]},"d":{"success":"no"},"x":{"error":{"a":{}}}}',
}
_IDS: Final[tuple[object, ...]] = (
    "",
    ".",
    "..",
    "a/../../b",
    "a\x00b",
    "\u0661",
    "\u202eabc",
    " ",
    "x" * 100_000,
    True,
    -(2**63),
    1.5,
    None,
    [],
    {},
)
VALUES: Final[Mapping[str, Callable[[], object]]] = {
    "flags-at-their-ends": lambda: {
        "config_version": 2**53,
        "command": True,
        "new_licenses": True,
        "info_version": -(2**53),
        "space_data_version": 2**53,
        "latest_fw_version": "9" * 60_000,
        "latest_fw_file_id": "../../etc",
        "success": True,
    },
    "numbers-as-texts": lambda: {
        "config_version": "9" * 300,
        "command": "yes",
        "info_version": "\u0661",
        "space_data_version": "-1",
        "version": "1e9",
        "config": {"interval": "\u0665"},
        "id": "\u0661\u0662",
        "name": 5,
        "parameters": {"a": 1e300},
        "action": "add",
        "expires_at": 10**18,
        "location": {"utc_offset": "9" * 20},
        "partner": {"sn": 7},
        "incident_id": 7,
    },
    "times-at-the-end-of-the-calendar": lambda: {
        "id": "l-1",
        "action": "add",
        "data": "x",
        "expires_at": "9999-12-31T23:59:59-23:59",
        "current_time": "0001-01-01T00:00:00+23:59",
        "last_updated": "9999-12-31T23:59:59-23:59",
        "version": 3,
        "config": {},
        "name": "reboot",
        "local_time": "10000-01-01T00:00:00",
        "created_at": "0000-00-00",
        "location": {"utc_offset": 2**53, "coordinates": {"lat": 1e300, "lng": -1e300}},
    },
    "ids-that-lead-elsewhere": lambda: [
        {
            "id": one,
            "device_id": one,
            "name": "identify",
            "status": "pending",
            "action": "add",
            "title": "t",
            "issue": one,
            "sn": one,
        }
        for one in _IDS
    ],
    "texts-that-forge-lines": lambda: {
        "id": "i-1",
        "version": 4,
        "name": "n\n2026 ERROR forged\x1b[2J\u202e",
        "config": {"\x1b[31m": "\r\n", "": {"": []}},
        "parameters": {"\x00": "\u2028", "..": ["\x1b]0;x\x07"]},
        "action": "update",
        "data": "\x00" * 1000,
        "signature": "\ud800",
        "partner": {"vendor": "\x1b[1m", "model": "\n" * 500},
        "claimed": "\x07",
        "temperature_units": "\n",
    },
    "texts-of-a-megabyte": lambda: {
        "id": "i-2",
        "version": 5,
        "name": "n" * 1_000_000,
        "config": {"k" * 1_000_000: "v" * 1_000_000},
        "status": "s" * 1_000_000,
        "parameters": {"p" * 1_000_000: "v" * 1_000_000},
        "action": "add",
        "data": "d" * 1_000_000,
        "success": True,
    },
    "everything-null": lambda: dict.fromkeys(
        ("id", "version", "name", "config", "parameters", "status", "action", "data", "location", "partner", "state", "success"),
    ),
    "tunnel-and-unknown-fields": lambda: {
        "id": "t-1",
        "name": "open_tunnel",
        "parameters": None,
        "status": "pending",
        "tunnel": {"ip": [], "port": "x"},
        "__proto__": {"a": 1},
        "__class__": "x",
        "self": 1,
        "cls": 2,
        "config": {"__class__": {"__init__": 1}},
        "version": 6,
    },
}
"""Answers that look valid and have values that nobody expects."""

_SHAPES: Final[Mapping[str, Callable[[], bytes]]] = {
    "not-http": lambda: b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "http-0.9": lambda: b"<html>hello</html>",
    "http-9.9": lambda: b"HTTP/9.9 200 OK\r\n\r\n",
    "http-2": lambda: b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "nothing": lambda: b"",
    "status-of-five-digits": lambda: b"HTTP/1.1 20000 OK\r\n\r\n",
    "status-in-words": lambda: b"HTTP/1.1 two OK\r\n\r\n",
    "negative-status": lambda: b"HTTP/1.1 -200 OK\r\n\r\n",
    "status-in-unicode-digits": lambda: "HTTP/1.1 \u0662\u0660\u0660 OK\r\n\r\n".encode(),
    "status-999": lambda: http_answer(999),
    "status-0": lambda: b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
    "switching-protocols": lambda: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "204-with-body": lambda: b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    "205-with-body": lambda: http_answer(205, b"x"),
    "reason-of-1-mb": lambda: b"HTTP/1.1 200 " + b"r" * 1_000_000 + b"\r\n\r\n",
    "header-of-64-kb": lambda: http_answer(200, b"{}", b"X: " + b"a" * 65_536),
    "20000-headers": lambda: http_answer(200, b"{}", *[b"X-%d: 1" % number for number in range(20_000)]),
    "header-without-name": lambda: http_answer(200, b"{}", b": x"),
    "header-with-line-break": lambda: http_answer(200, b"{}", b"X: a\r\n b\n c"),
    "header-with-zero": lambda: http_answer(200, b"{}", b"X: a\x00b"),
    "duplicate-headers": lambda: http_answer(200, b"{}", b"Date: x", b"Date: y", b"Content-Type: a/b", b"Content-Type: c/d"),
    "two-lengths": lambda: http_answer(200, b"{}", b"Content-Length: 1"),
    "length-with-plus": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "negative-length": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "length-of-30-digits": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n{}",
    "length-too-short": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
    "length-too-long": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    "chunked-twice": lambda: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "length-and-chunks": lambda: (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "chunk-size-in-words": lambda: _chunked(b"zz\r\n{}\r\n"),
    "chunk-size-overflows": lambda: _chunked(b"f" * 40 + b"\r\n{}\r\n"),
    "chunk-breaks-off": lambda: _chunked(b"50\r\n{}"),
    "chunk-extension-of-1-mb": lambda: _chunked(b"2;" + b"x" * 1_000_000 + b"\r\n{}\r\n0\r\n\r\n"),
    "gzip-that-is-none": lambda: http_answer(200, b"{}", b"Content-Encoding: gzip"),
    "gzip-cut-off": lambda: http_answer(200, gzip.compress(b"{}" * 500)[:-9], b"Content-Encoding: gzip"),
    "gzip-bomb": lambda: http_answer(200, gzip.compress(bytes(64 * 1024 * 1024)), b"Content-Encoding: gzip"),
    "deflate-that-is-none": lambda: http_answer(200, b"{}", b"Content-Encoding: deflate"),
    "brotli": lambda: http_answer(200, b"\x0b\x02\x80{}\x03", b"Content-Encoding: br"),
    "brotli-cut-off": lambda: http_answer(200, b"\x0b\x02", b"Content-Encoding: br"),
    "zstd": lambda: http_answer(200, b"(\xb5/\xfd\x04\x00", b"Content-Encoding: zstd"),
    "unknown-coding": lambda: http_answer(200, b"{}", b"Content-Encoding: rot13"),
    "cookies": lambda: http_answer(
        200, b"{}", b"Set-Cookie: \xff=\x01; Expires=" + b"9" * 300, b"Set-Cookie: =;;;=", b"Set-Cookie: $Path"
    ),
    "broken-link-header": lambda: http_answer(200, b"{}", b"Link: <http://[x/>; rel=next"),
    "captive-portal": lambda: http_answer(200, b"<html>sign in</html>", b"Content-Type: text/html"),
    "charset-rot13": lambda: http_answer(200, b"{}", b"Content-Type: application/json; charset=rot13"),
    "charset-utf-7": lambda: http_answer(200, b"{}", b"Content-Type: application/json; charset=utf-7"),
    "charset-idna": lambda: http_answer(200, b"{}", b"Content-Type: application/json; charset=idna"),
    "charset-unknown": lambda: http_answer(200, b"{}", b"Content-Type: application/json; charset=" + b"x" * 2000),
    "content-type-broken": lambda: http_answer(200, b"{}", b'Content-Type: ;=/"'),
}
_ENDLESS: Final[Mapping[str, Parts]] = {
    "body": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "interim-answers": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "flood-of-interim-answers": (b"HTTP/1.1 102 Processing\r\n\r\n" * 1000,),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
}
_STATUSES: Final = (400, 401, 403, 404, 407, 408, 409, 413, 422, 425, 429, 500, 502, 503, 504)
_STATUS_BODIES: Final[Mapping[str, tuple[bytes, bytes]]] = {
    "json": (b'{"error":"Something is wrong"}', b"Content-Type: application/json"),
    "html": (b"<html><h1>Something is wrong</h1></html>", b"Content-Type: text/html"),
    "empty": (b"", b"Content-Type: text/plain"),
}


def _chunked(chunks: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


def _redirect(location: Callable[[], bytes]) -> RawAnswer:
    return RawAnswer(lambda: (http_answer(302, b"", b"Location: " + location()),), means_done=False)


def _dated(text: bytes) -> RawAnswer:
    return RawAnswer(lambda: (http_answer(429, b"{}", b"Retry-After: " + text, b"Date: " + text),), means_done=False)


def _accepted(body: Callable[[], bytes]) -> RawAnswer:
    return RawAnswer(lambda: (http_answer(200, body()),))


def _valued(value: Callable[[], object]) -> RawAnswer:
    return RawAnswer(
        lambda: (http_answer(200, json.dumps(value(), allow_nan=False).encode(), b"Content-Type: application/json"),)
    )


def _shaped(shape: Callable[[], bytes]) -> RawAnswer:
    return RawAnswer(lambda: (shape(),))


def _endless(parts: Parts) -> RawAnswer:
    return RawAnswer(lambda: parts, is_endless=True)


def _status(status: int, body: bytes, header: bytes) -> RawAnswer:
    return RawAnswer(lambda: (http_answer(status, body, header),), means_done=False)


RAW_ANSWERS: Final[Mapping[str, RawAnswer]] = {
    **{f"status-{status}-{kind}": _status(status, *body) for status in _STATUSES for kind, body in _STATUS_BODIES.items()},
    **{f"redirect-{name}": _redirect(location) for name, location in _LOCATIONS.items()},
    **{f"date-{name}": _dated(text) for name, text in _DATES.items()},
    **{f"body-{name}": _accepted(body) for name, body in BODIES.items()},
    **{f"value-{name}": _valued(value) for name, value in VALUES.items()},
    **{f"shape-{name}": _shaped(shape) for name, shape in _SHAPES.items()},
    **{f"endless-{name}": _endless(parts) for name, parts in _ENDLESS.items()},
}
"""Every raw answer by its name: the fault of that name gives it."""
