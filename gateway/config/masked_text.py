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

_URL_USER: Final = re.compile(r"(?<=://)[^\s\"'<>@/]+:[^\s\"'<>]*@")
_PLACEHOLDER: Final = re.compile(r"""["']?<.*>["']?""")


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text in which each secret is replaced by a numbered mask. It has as many lines as before."""

    text: str
    secrets: Mapping[str, str]
    """What stands in the text now -> what stood there."""

    def restored(self, edited: str) -> str:
        """Return an edited text with the secrets in the places of their masks; those whose masks were removed are left out."""
        for mask, secret in self.secrets.items():
            edited = edited.replace(mask, secret)
        return edited


def mask_secrets(text: str) -> MaskedText:
    """Return a text without the values of keys that are named like secrets, and without the user information of URLs."""
    secrets: dict[str, str] = {}

    def mask(secret: str) -> str:
        mask = f'"{MASK} (secret {len(secrets) + 1})' + "\n" * secret.count("\n") + '"'
        if "\n" in secret:
            mask = f'""{mask}""'
        secrets[mask] = secret
        return mask

    def mask_setting(found: re.Match[str]) -> str:
        name, value = found["key"].strip("\"'"), found["value"]
        if not is_secret_name(name.rpartition(".")[2]) or name.endswith("_file") or _is_harmless(value):
            return found[0]
        return f"{found['key']}{found['equals']}{mask(value)}"

    def mask_user(found: re.Match[str]) -> str:
        mask = f"{MASK}-{len(secrets) + 1}@"
        secrets[mask] = found[0]
        return mask

    masked = _SETTING.sub(mask_setting, text)
    return MaskedText(_URL_USER.sub(mask_user, masked), secrets)


def _is_harmless(value: str) -> bool:
    return value.strip() in ('""', "''", "[]", "true", "false") or _PLACEHOLDER.fullmatch(value.strip()) is not None
