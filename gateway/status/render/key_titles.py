"""Return the title of a key of the configuration, as forms show it, in the language of the reader. Pure."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup, escape

from gateway.profiles.parameters import title_of
from gateway.status.languages.texts import current_language

CONTEXT: Final = "setting"
"""The context of these titles in the catalogues: `key` or `after` mean something else elsewhere."""


def key_title(key: str) -> Markup:
    """Return the title of a key; one that stays English, as that of a further adapter, says so."""
    title, language = title_of(key), current_language()
    if language.is_source:
        return escape(title)
    found = language.translations.pgettext(CONTEXT, title)
    return Markup('<span lang="en">{}</span>').format(title) if found == title else escape(found)
