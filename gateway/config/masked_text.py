"""Mask the secrets in the text of a configuration, whether it is TOML or not, and put them back after it was edited. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.command_secrets import is_secret_name
from gateway.url_secrets import MASK

_SETTING: Final = re.compile(
    r"""(?P<key>["']?[\w.-]+["']?)(?P<equals>[ \t]*[=:][ \t]*)"""
    r'''(?P<value>"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\[[^\[\]]*\]|[^\s\[{#][^\n]*)'''
)
"""A key with its value. A text without its closing quote is taken to the end of the line."""

_URL_USER: Final = re.compile(r"(?<=://)[^\s\"'<>@/]+:[^\s\"'<>]*@(?P<host>[^\s\"'<>/?#]*)")
_PLACEHOLDER: Final = re.compile(r"""["']?<.*>["']?""")


_USER_MASK: Final = re.compile(rf"(?<=://){re.escape(MASK)}-\d+@(?P<host>[^\s\"'<>/?#]*)")
_LEFT_MASK: Final = re.compile(rf"{re.escape(MASK)} \(secret \d+\)|(?<=://){re.escape(MASK)}-\d+@")


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text in which each secret is replaced by a numbered mask. It has as many lines as before."""

    text: str
    secrets: Mapping[str, str]
    """What stands in the text now -> what stood there. The mask of a user in a URL has the host behind it."""
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

        def restore_user(found: re.Match[str]) -> str:
            return self.secrets.get(found[0], found[0])

        return _USER_MASK.sub(restore_user, _SETTING.sub(restore_setting, edited))

    @property
    def values(self) -> frozenset[str]:
        """The secrets without their quotes."""
        return frozenset(secret.strip("\"'").strip() for secret in self.secrets.values())


def misplaced_masks(text: str) -> list[int]:
    """Return the 1-based lines of a restored text that still have a mask: none stands there for a secret."""
    return [number for number, line in enumerate(text.splitlines(), 1) if _LEFT_MASK.search(line)]


def mask_secrets(text: str, names: frozenset[str] = frozenset()) -> MaskedText:
    """Return a text without the values of keys that are named like secrets, and without the user information of URLs.

    Args:
        text: the text of a configuration.
        names: further keys whose values are secrets, which their names do not say.
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

    masked = _SETTING.sub(mask_setting, text)
    return MaskedText(_URL_USER.sub(mask_user, masked), secrets, names)


def _is_secret_key(key: str, names: frozenset[str]) -> bool:
    name = key.strip("\"'").rpartition(".")[2]
    return (is_secret_name(name) or name in names) and not name.endswith("_file")


def _is_harmless(value: str) -> bool:
    return value.strip() in ('""', "''", "[]", "true", "false") or _PLACEHOLDER.fullmatch(value.strip()) is not None
