"""Strategies for what comes from outside: damaged bytes, hostile JSON and TOML, mutated from valid examples or made up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

NASTY_TEXTS = (
    "", " ", "\0", "\ud800", "\x1b[31mred\x1b[0m", "line\nforged line", "NaN", "Infinity", "-inf", "1e999", "9" * 5000,
    "-1", "null",
    "٣", "²", "℀", "\u202e", "a" * 3000, "%s%n{0}", "../../etc/passwd", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "1:2:3", "{", "}}", "[", "]]", '"', "'''", "=", "$" * 50, "(" * 100, "http://[x/", "https://xn--a.xyte.io", "169.254.169.254",
)  # fmt: skip
"""Texts that have broken programs before."""

NASTY_BYTES = (
    b"", b"\0", b"\xff", b"\xff" * 300, b"\0" * 300, b"\r\n", b"\n" * 200, b"(" * 300, b"1" * 400 + b".0", b"9" * 5000,
    b"1e999", b"nan",
    b"\x80\x81", b"\xed\xa0\x80", b"\x1b[2J", b"{" * 2000, b"[" * 2000, b'{"a":' * 2000, b"," * 400, b"*" * 50, b"$" * 50,
    b"1.0e999",
)  # fmt: skip

NASTY_NUMBERS = (
    *(
        0,
        -1,
        1,
        127,
        128,
        255,
        256,
        32767,
        65535,
        65536,
        2**31 - 1,
        2**31,
        2**63 - 1,
        2**63,
        2**64,
        -(2**63) - 1,
        10**40,
        10**400,
    ),
    *(0.1, -0.0, 1e308, -1e308, 5e-324),
)

_NESTED = 1000


def damaged(examples: Iterable[bytes], *, most: int = 600) -> SearchStrategy[bytes]:
    """Return bytes that are made up, hostile, or a valid example with a few mistakes in it."""
    known = tuple(dict.fromkeys(examples)) or (b"",)
    return st.one_of(
        _mutated(st.sampled_from(known)), _mutated(st.sampled_from(known)), st.binary(max_size=most), st.sampled_from(NASTY_BYTES)
    )


@st.composite
def _mutated(draw: DrawFn, examples: SearchStrategy[bytes]) -> bytes:
    raw = bytearray(draw(examples))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.integers(0, 5)):
            case 0 if at < len(raw):
                raw[at] = draw(st.integers(0, 255))
            case 1:
                raw[at:at] = draw(st.binary(max_size=8) | st.sampled_from(NASTY_BYTES))
            case 2:
                del raw[at : at + draw(st.integers(0, 20))]
            case 3:
                raw[at:at] = raw[at : at + draw(st.integers(0, 40))] * draw(st.integers(1, 4))
            case 4:
                del raw[at:]
            case _ if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(raw)


def chunks_of(raw: SearchStrategy[bytes]) -> SearchStrategy[list[bytes]]:
    """Return bytes as they may arrive: cut anywhere."""

    @st.composite
    def cut(draw: DrawFn) -> list[bytes]:
        rest, parts = draw(raw), []
        for size in draw(st.lists(st.integers(1, 80), max_size=6)):
            parts.append(rest[:size])
            rest = rest[size:]
        return [*parts, rest]

    return cut()


def texts() -> SearchStrategy[str]:
    """Return any text, also with lone surrogates."""
    return st.text(st.characters(), max_size=40) | st.sampled_from(NASTY_TEXTS)


def json_values(names: Iterable[str] = (), words: Iterable[str] = ()) -> SearchStrategy[Any]:
    """Return JSON values whose names and words are often those that a parser looks for."""
    known_names, known_words = tuple(names), tuple(words)
    text = texts() | (st.sampled_from(known_words) if known_words else st.nothing())
    name = (st.sampled_from(known_names) if known_names else st.nothing()) | texts()
    plain = st.none() | st.booleans() | st.integers() | st.floats() | text | st.sampled_from(NASTY_NUMBERS)
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(name, inner, max_size=6), max_leaves=12
    )


def json_bodies(names: Iterable[str] = (), words: Iterable[str] = (), examples: Sequence[object] = ()) -> SearchStrategy[bytes]:
    """Return response bodies: JSON of known names, examples with mistakes, deep nesting, and what is no JSON at all."""
    written = tuple(json.dumps(one).encode() for one in examples)
    deep = st.sampled_from(
        (
            b"[" * _NESTED + b"]" * _NESTED,
            b'{"a":' * _NESTED + b"1" + b"}" * _NESTED,
            b"[" * 200 + b"]" * 200,
            b'{"error":' + b"[" * 800 + b"]" * 800 + b"}",
        )
    )
    whole = json_values(names, words)
    objects = st.dictionaries(st.sampled_from(tuple(names)) if names else texts(), whole, max_size=8)
    return st.one_of(
        (objects | st.lists(objects, max_size=4) | whole).map(_as_json), (objects | whole).map(_as_json), damaged(written), deep
    )


def _as_json(value: object) -> bytes:
    return json.dumps(value).encode()  # also NaN and Infinity, which Python reads and RFC 8259 does not know


def toml_texts(examples: Sequence[str], keys: Sequence[str] = ()) -> SearchStrategy[str]:
    """Return TOML files: examples with values, keys and lines replaced, and texts that are no TOML."""
    value = st.sampled_from(NASTY_TOML_VALUES) | st.integers().map(str) | st.floats().map(repr) | texts().map(_quoted)

    @st.composite
    def changed(draw: DrawFn) -> str:
        lines = draw(st.sampled_from(examples)).splitlines()
        if len(lines) > 40 and draw(st.booleans()):  # a part of a long file is as good, and quicker
            begin = draw(st.integers(0, len(lines) - 20))
            lines = lines[begin : begin + draw(st.integers(1, 40))]
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, max(0, len(lines) - 1)))
            line = lines[at] if lines else ""
            match draw(st.integers(0, 6)):
                case 0 | 1 | 2 if "=" in line:
                    lines[at] = f"{line.partition('=')[0]}= {draw(value)}"
                case 3 if "=" in line and keys:
                    lines[at] = f"{draw(st.sampled_from(keys))} = {line.partition('=')[2]}"
                case 4 if lines:
                    del lines[at]
                case 5:
                    lines.insert(at, draw(st.sampled_from(NASTY_TOML_LINES) | texts()))
                case _ if lines:
                    lines[at] = draw(_mutated(st.just(line.encode("utf-8", "replace")))).decode("utf-8", "replace")
        return "\n".join(lines)

    return changed() | st.sampled_from(NASTY_TOML_LINES) | texts()


NASTY_TOML_VALUES = (
    '""', '" "', "0", "-1", "9" * 30, "9" * 5000, "1e999", "nan", "-inf", "true", "[]", "{}", "[[]]", "{ a = 1 }",
    '["", 1, true]', "1979-05-27",
    "1979-05-27T07:32:00Z", "07:32:00", "9999-12-31T23:59:59-23:59", "[" * _NESTED + "]" * _NESTED,
    "{a=" * _NESTED + "1" + "}" * _NESTED,
    '"\\u0000"', '"/(a+)+$/"', '"(((("', '"{a:/(/}"', '"{x:u8}{x:u8}"', "0x" + "f" * 300, "'''", '"""', '"a" "b"',
    '["a", ["b"], {c = 1}]',
    "1_000", "[1, 2, 3]", "[2, 1]", "[0, 0]", "[nan, nan]", "[-inf, inf]", '"2.5"', '"\\uD800"', '"0xFFFFFFFF"', "1e308",
    "-1e308", "5e-324",
)  # fmt: skip
"""The texts that follow a key."""

NASTY_TOML_LINES = (
    "[[[", "[a.b.c", "[[adapter]]", "[adapter]", "a = " + "[" * _NESTED + "]" * _NESTED, "a." * _NESTED + "b = 1",
    "[" + "a." * _NESTED + "b]",
    "a = " + "9" * 5000, "= 1", "\ufeff", "\0", "a = 1\na = 2", "points = 1", "[[points]]", "[points]", "name = 1",
    "match = [[]]", "[defaults]",
    "defaults = 1", "_cli_parse_args = true", "child = 1", "[models]\n'*' = 1", "[child.'x']", "match = {}",
)  # fmt: skip


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def keys_of(examples: Iterable[str]) -> tuple[str, ...]:
    """Return the keys that TOML files have."""
    return tuple(sorted({found for text in examples for found in re.findall(r"(?m)^\s*([A-Za-z_][\w.]*)\s*=", text)}))


def cached(make: Callable[[], SearchStrategy[Any]]) -> Callable[[], SearchStrategy[Any]]:
    """Return the function that makes a strategy, so that it is made once."""
    made: list[SearchStrategy[Any]] = []

    def once() -> SearchStrategy[Any]:
        if not made:
            made.append(make())
        return made[0]

    return once
