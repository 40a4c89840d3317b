"""Find all mistakes in the writing of a TOML file, and say in plain words what is wrong in each line. Pure."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import SettingsProblem
from gateway.toml_text import read_toml

MOST_MISTAKES: Final = 20

_STATEMENT: Final = re.compile(r"\s*(?P<key>[A-Za-z0-9_\-.\"']+)\s*[=:]\s*(?P<value>.*)")
_TYPOGRAPHIC: Final = re.compile("[\\u201c-\\u201f\\u2018-\\u201b\\u00ab\\u00bb]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

_TABLE_TWICE: Final = "Cannot declare|Cannot mutate|Cannot redefine"

_BY_MESSAGE: Final = {
    "Cannot overwrite": ("{key} is there twice", "Each key may occur once in its table"),
    _TABLE_TWICE: (
        "this table is there twice",
        "Each [table] may occur once; only [[adapter]], with two brackets, can be repeated",
    ),
    "Unescaped": (r"a text has a backslash", r"Write it in single quotes, 'C:\folder', or write each backslash twice"),
    "Illegal character '.n'|Unterminated|Expected \"\"\"|Expected '''": (
        "a text is not closed",
        "A text has to end with the quote that it began with, on the same line",
    ),
    "Unclosed|Expected ',' or": (
        "a list or table is not closed, or a comma is missing in it",
        "Close each [ with ] and each { with }, and put a comma after each item",
    ),
    "Invalid value": (
        "{value} is no value",
        "Put texts in quotes and lists in [ ] with commas; write true and false for yes and no",
    ),
    "Expected '=' after a key": ("there is no `=` after the name", "Write one `key = value` per line, and a table as [name]"),
    "Expected newline": ("there is something after the value", "Write one `key = value` per line, and a comment after #"),
    "Illegal character": ("there is a character that cannot be seen", "Remove it; it may have been copied from a web page"),
}
"""The beginnings of tomllib's messages -> what is wrong, and what would be right."""

_NO_STATEMENT: Final = ("this is no line of a configuration", "Write one `key = value` per line, and a table as [name]")


@dataclass(frozen=True, slots=True)
class ReadTables:
    """The readable part of a TOML text, and its mistakes."""

    tables: dict[str, Any]
    """The tables, without the lines that are wrong."""
    text: str = ""
    """The text of which they are: lines that are wrong are empty in it."""
    problems: tuple[SettingsProblem, ...] = ()
    keys_left_out: frozenset[str] = field(default_factory=frozenset)
    """The last steps of the keys in the lines that are wrong."""
    is_whole: bool = True
    """Whether everything but these lines could be read, so that the tables are worth a look."""


def read_tables(text: str) -> ReadTables:
    """Return the tables of a text, and each line that is wrong."""
    if (kind := _other_language(text)) is not None:
        problem = SettingsProblem("file", f"is not TOML: it is {kind}", "Write tables as [name] and values as `key = value`", 1)
        return ReadTables({}, text, (problem,), is_whole=False)
    lines = text.splitlines()
    problems: list[SettingsProblem] = []
    keys: set[str] = set()
    for _ in range(MOST_MISTAKES):
        try:
            return ReadTables(read_toml("\n".join(lines)), "\n".join(lines), tuple(problems), frozenset(keys))
        except tomllib.TOMLDecodeError as error:
            number = _line_number(error, lines)
            line = lines[number - 1] if number <= len(lines) else ""
            statement = _STATEMENT.fullmatch(line)
            is_further = bool(problems)
            if is_further and (statement is None or number <= (problems[-1].line or 0)):
                break  # this follows from the line that was left out
            problems.append(_problem(str(error), line, number, lines))
            if statement is None or number > len(lines):
                break
            keys.add(statement["key"].rpartition(".")[2].strip("\"'"))
            lines[number - 1] = ""
    return ReadTables({}, text, tuple(problems), frozenset(keys), is_whole=False)


def _line_number(error: tomllib.TOMLDecodeError, lines: list[str]) -> int:
    """Return the 1-based line of an error; that at the end of the text is in the statement that is not closed there."""
    found = re.search(r"line (\d+)", str(error))
    number = int(found[1]) if found else len(lines)
    if found and re.match("Unclosed|Expected ',' or", str(error)) is None:
        return number
    begun = [at for at, line in enumerate(lines[:number], 1) if _STATEMENT.fullmatch(line) and _is_open(line)]
    return begun[-1] if begun else number


def _is_open(line: str) -> bool:
    """Whether a list, a table or a text of several lines begins in this line and does not end in it."""
    opened, closed = sum(map(line.count, "[{")), sum(map(line.count, "]}"))
    return opened > closed or any(line.count(quotes) % 2 for quotes in ('"""', "'''"))


def _problem(message: str, line: str, number: int, lines: list[str]) -> SettingsProblem:
    wrong, right = next((words for start, words in _BY_MESSAGE.items() if re.match(start, message)), _NO_STATEMENT)
    statement = _STATEMENT.fullmatch(line)
    key, value = (statement["key"], statement["value"]) if statement is not None else ("", line.strip())
    if found := _TYPOGRAPHIC.search(line):
        wrong, right = f"it has a typographic quote, {found[0]}", 'Write straight quotes: "'
    elif found := _CONTROL.search(line):
        wrong, right = f"it has the control character {ord(found[0])}", "Remove it; it may have been copied from elsewhere"
    elif re.match("Cannot overwrite", message) and line.lstrip().startswith("["):
        wrong, right = _BY_MESSAGE[_TABLE_TWICE]
    elif re.match("Cannot overwrite", message):
        first = next((at for at, one in enumerate(lines, 1) if at < number and one.split("=")[0].strip() == key), None)
        wrong += "" if first is None else f": it has a value in line {first} already"
    elif re.match("Expected '='", message) and re.fullmatch(r"\s*[\w-]+\s*:.*", line):
        wrong, right = "it is written with a colon", "Write `key = value`"
    elif "nested" in message or "digits" in message:
        wrong = message.split(": ")[-1].split(" (at ")[0]
    shown = wrong.replace("{key}", key or "this key").replace("{value}", value[:60] or "this")
    return SettingsProblem("file", f"is not TOML: {shown}", right, number)


def _other_language(text: str) -> str | None:
    start = text.lstrip()[:400]
    if len(_CONTROL.findall(text[:2000])) > 8 or start.startswith("\x7fELF"):
        return "no text"
    if start.startswith("{"):
        return "JSON"
    if start.startswith("<"):
        return "XML or HTML"
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    yaml = sum(bool(re.fullmatch(r"\s*(- )?[\w-]+:( .*)?", line)) for line in lines)
    return "YAML" if yaml > 1 and yaml >= len(lines) / 2 else None
