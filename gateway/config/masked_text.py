"""Mask the secrets in the text of a configuration, whether it is TOML or not, and put them back after it was edited. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.command_secrets import is_secret_name
from gateway.toml_text import read_toml
from gateway.url_secrets import MASK

_SETTING: Final = re.compile(
    r"""(?<![\w.-])(?P<key>["']?[\w.-]+["']?)(?P<equals>[ \t]*[=:][ \t]*)"""
    r'''(?P<value>"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\[[^\[\]]*\]|[^\s\[{#][^\n]*)'''
)
"""A key with its value. A text without its closing quote is taken to the end of the line."""

_URL_USER: Final = re.compile(r"(?<=://)[^\s\"'<>@/]+:[^\s\"'<>]*@(?P<host>[^\s\"'<>/?#]*)")
_PLACEHOLDER: Final = re.compile(r"""["']?<.*>["']?""")


_USER_MASK: Final = re.compile(rf"(?<=://){re.escape(MASK)}-\d+@(?P<host>[^\s\"'<>/?#]*)")
_LEFT_MASK: Final = re.compile(rf"{re.escape(MASK)} \(secret \d+(?: again)?\)|(?<=://){re.escape(MASK)}-\d+@")
_AGAIN: Final = re.compile(rf"{re.escape(MASK)} \(secret \d+ again\)")
ANY_MASK: Final = re.compile(rf"""(?:"")?"{re.escape(MASK)} \(secret \d+\)\n*"(?:"")?|{_AGAIN.pattern}|{_USER_MASK.pattern}""")
"""A mask as it stands in a masked text."""

_QUOTED: Final = re.compile(r"""(["'])(.*?)\1""")
_URL_START: Final = re.compile(r"https?://[^/\s\"']+/")
_COMMENT_URL: Final = re.compile(r"(https?://[^/\s\"'<>]+/)[^\s\"'<>*]+")
_SHORTEST: Final = 4
"""A shorter secret is too often a part of other words to be looked for."""
_SURE: Final = 8
"""A secret of so many characters is masked within other words as well."""


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text in which each secret is replaced by a numbered mask. It has as many lines as before."""

    text: str
    secrets: Mapping[str, str]
    """Each secret, by the mask that stands in its place. The mask of a user in a URL has the host behind it."""
    names: frozenset[str] = frozenset()
    """Further names of secrets."""

    def restored(self, edited: str) -> str:
        """Return an edited text with the secrets in the places of their masks; those whose masks were removed are left out.

        A mask is replaced only where a secret belongs: else it could be moved to a key whose value is shown, or to the URL of
        another host. `misplaced_masks` finds those that are left.
        """

        def restore_setting(found: re.Match[str]) -> str:
            secret = self.secrets.get(found["value"])
            if secret is None or not _is_secret_key(found["key"], self.names):
                return found[0]
            return f"{found['key']}{found['equals']}{secret}"

        def restore_other(found: re.Match[str]) -> str:
            return self.secrets.get(found[0], found[0])

        restored = _USER_MASK.sub(restore_other, _SETTING.sub(restore_setting, edited))
        again = {self.secrets[mask] for mask in _AGAIN.findall(restored) if mask in self.secrets}
        if not again:
            return restored
        whole = _AGAIN.sub(restore_other, restored)
        shown = mask_secrets(whole, self.names).text
        base = _AGAIN.sub(restore_other, self.text)
        if any(secret in shown for secret in again) or _moved(whole, (base, restored), again):
            return restored
        return whole

    @property
    def values(self) -> frozenset[str]:
        """The secrets without their quotes."""
        return frozenset(secret.strip("\"'").strip() for secret in self.secrets.values())


def misplaced_masks(text: str) -> list[int]:
    """Return the 1-based lines of a restored text that still have a mask: none stands there for a secret."""
    return [number for number, line in enumerate(text.splitlines(), 1) if _LEFT_MASK.search(line)]


def mask_secrets(text: str, names: frozenset[str] = frozenset(), known: Collection[str] = ()) -> MaskedText:
    """Return a text without the values of keys that are named like secrets, and without the user information of URLs.

    These values are masked wherever else they stand as well, in a comment for instance; and so are URLs in comments that begin
    with the host of a secret URL.

    Args:
        text: the text of a configuration.
        names: further keys whose values are secrets, which their names do not say.
        known: further secrets, which another text has.
    """
    secrets: dict[str, str] = {}

    def mask(secret: str) -> str:
        mask = f'"{MASK} (secret {len(secrets) + 1})' + "\n" * secret.count("\n") + '"'
        if "\n" in secret:
            mask = f'""{mask}""'
        secrets[mask] = secret
        return mask

    def mask_setting(found: re.Match[str]) -> str:
        if not _is_secret_key(found["key"], names) or _is_harmless(found["value"]):
            return found[0]
        return f"{found['key']}{found['equals']}{mask(found['value'])}"

    def mask_user(found: re.Match[str]) -> str:
        mask = f"{MASK}-{len(secrets) + 1}@{found['host']}"
        secrets[mask] = found[0]
        return mask

    masked = _URL_USER.sub(mask_user, _SETTING.sub(mask_setting, text))
    values = {value for secret in [*secrets.values(), *known] for value in _values_of(secret)}
    return MaskedText(_mask_again(masked, values, secrets), secrets, names)


def _mask_again(text: str, values: Collection[str], secrets: dict[str, str]) -> str:
    """Return a text with these values masked, and with the masks added to the secrets."""
    if not values:
        return text
    masks: dict[str, str] = {}

    def mask(secret: str) -> str:
        if secret not in masks:
            masks[secret] = f"{MASK} (secret {len(secrets) + 1} again)"
            secrets[masks[secret]] = secret
        return masks[secret]

    def mask_between(shown: str) -> str:
        parts, done = [], 0
        for start, end in _occurrences(shown, values):
            parts += [shown[done:start], mask(shown[start:end])]
            done = end
        return "".join([*parts, shown[done:]])

    parts, done = [], 0
    for found in ANY_MASK.finditer(text):
        parts += [mask_between(text[done : found.start()]), found[0]]
        done = found.end()
    masked = "".join([*parts, mask_between(text[done:])])
    starts = {begins[0] for value in values if (begins := _URL_START.match(value))}

    def mask_url(found: re.Match[str]) -> str:
        is_comment = "#" in masked[masked.rfind("\n", 0, found.start()) + 1 : found.start()]
        return mask(found[0]) if is_comment and found[1] in starts else found[0]

    return _COMMENT_URL.sub(mask_url, masked) if starts else masked


def _occurrences(text: str, values: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield where the values stand in a text, the longest ones first; its time does not grow with how many there are."""
    lengths: dict[str, list[int]] = {}
    for length, start in sorted({(len(value), value[:_SHORTEST]) for value in values}, reverse=True):
        lengths.setdefault(start, []).append(length)
    free = 0
    for place in range(len(text) - _SHORTEST + 1):
        if (found := lengths.get(text[place : place + _SHORTEST])) is None or place < free:
            continue
        for length in found:
            end = place + length
            if text[place:end] in values and (length >= _SURE or _is_word(text, place, end)):
                yield place, end
                free = end
                break


def _is_word(text: str, start: int, end: int) -> bool:
    around = text[max(start - 1, 0) : start] + text[end : end + 1]
    return not any(one.isalnum() or one == "_" for one in around)


def _values_of(secret: str) -> list[str]:
    """Return what is secret in the value of a key, or in the user information of a URL, in pieces of one line."""
    bare = secret.strip()
    if bare.startswith("["):
        pieces = [found[2] for found in _QUOTED.finditer(bare)]
    elif bare[:1] in ("'", '"'):
        pieces = bare.strip("\"'").splitlines()
    elif "://" not in bare and (user := re.fullmatch(r"[^\s@/:]+:([^\s]*)@[^\s@/]*", bare)):
        pieces = [user[1]]
    else:
        pieces = bare.partition(" #")[0].splitlines()
    return [piece.strip() for piece in pieces if len(piece.strip()) >= _SHORTEST and MASK not in piece]


def _moved(text: str, allowed: Collection[str], secrets: Collection[str]) -> bool:
    """Return whether a text has a secret in a key or a value that none of the allowed texts has."""
    fine = {one for other in allowed for one in _strings(other)}
    return any(secret in part for one in _strings(text) - fine for part in one for secret in secrets)


def _strings(text: str) -> set[tuple[str, str]]:
    """Return the keys and values of a TOML text; none where it is no TOML."""
    try:
        waiting: list[tuple[str, object]] = [("", read_toml(text))]
    except tomllib.TOMLDecodeError:
        return set()
    found = set()
    while waiting:
        match waiting.pop():
            case _, dict() as table:
                found |= {(str(key), "") for key in table}
                waiting += [(str(key), value) for key, value in table.items()]
            case key, list() as items:
                waiting += [(key, item) for item in items]
            case key, value:
                found.add((key, str(value)))
    return found


def _is_secret_key(key: str, names: frozenset[str]) -> bool:
    name = key.strip("\"'").rpartition(".")[2]
    return (is_secret_name(name) or name in names) and not name.endswith("_file")


def _is_harmless(value: str) -> bool:
    return value.strip() in ('""', "''", "[]", "true", "false") or _PLACEHOLDER.fullmatch(value.strip()) is not None
