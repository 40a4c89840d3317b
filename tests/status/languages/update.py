"""Bring the catalogues of languages up to date: `python tests/status/languages/update.py`.

New texts come in without a translation, those that are gone go out, and all are sorted, so that changes of several people seldom
meet. Where a translation is missing, its text is printed.
"""

from __future__ import annotations

import sys

import polib
from extraction import Message, all_messages, said_messages

from gateway.status.languages.catalogue import PATTERN_FLAG, catalogue_files
from gateway.status.languages.sentences import PLACEHOLDER

WIDTH = 130


def updated(catalogue: polib.POFile, messages: set[Message], patterns: set[str] = frozenset()) -> polib.POFile:
    known = {(entry.msgid, entry.msgid_plural, entry.msgctxt or ""): entry for entry in catalogue if not entry.obsolete}
    result = polib.POFile(wrapwidth=WIDTH)
    result.metadata, result.header = catalogue.metadata, catalogue.header
    for message in sorted(messages):
        old = known.get((message.text, message.plural, message.context))
        entry = polib.POEntry(msgid=message.text, msgid_plural=message.plural, msgctxt=message.context or None)
        if message.plural:
            entry.msgstr_plural = dict(old.msgstr_plural) if old is not None else {0: "", 1: ""}
        else:
            entry.msgstr = "" if old is None else old.msgstr
        if "%(" in message.text + message.plural:
            entry.flags.append("python-format")
        if message.text in patterns:
            entry.flags.append(PATTERN_FLAG)
        entry.tcomment = "" if old is None else old.tcomment
        result.append(entry)
    return result


def main() -> int:
    messages, missing = all_messages(), 0
    patterns = {one.text for one in said_messages() if PLACEHOLDER.search(one.text) is not None}
    for file in catalogue_files():
        catalogue = updated(polib.pofile(str(file), wrapwidth=WIDTH), messages, patterns)
        catalogue.save(str(file))
        for entry in catalogue:
            if not (entry.msgstr or all(entry.msgstr_plural.values() or [""])):
                missing += 1
                print(f"{file.name}: not translated: {entry.msgid!r}")  # noqa: T201 - it is a script
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
