"""Ask a person at the terminal for what a new profile needs: facts, choices, and a pasted table."""

from __future__ import annotations

import sys

import typer

from gateway.adapter import unknown_name
from gateway.cli.common import EXIT_WRONG, CommandFailed, err


def is_terminal() -> bool:
    """Whether there is a person who can be asked."""
    return sys.stdin.isatty()


def answered(given: str | None, question: str, option: str, *, default: str | None = None, needed: bool = True) -> str:
    """Return what is given, or what a person answers.

    Args:
        given: the value of the option.
        question: what is wanted, and what for.
        option: the option that answers it, too.
        default: what an empty answer means; without one, the question is put again.
        needed: without a terminal, the option has to be given; else the default counts.

    Raises:
        CommandFailed: it is not given, and nobody can be asked.
    """
    if given is not None and (given.strip() or not needed):
        return given.strip()
    if not is_terminal():
        if needed:
            raise CommandFailed(f"{option} is missing, and there is no terminal to ask at", EXIT_WRONG)
        return default or ""
    while True:
        answer = str(typer.prompt(question, default=default, show_default=bool(default), err=True)).strip()
        if answer or default is not None:
            return answer


def chosen(question: str, known: tuple[str, ...]) -> str:
    """Return which of these a person chooses; another answer is asked for again."""
    while (answer := str(typer.prompt(question, err=True)).strip()) not in known:
        err.print(f"{answer!r}: answer {', '.join(known[:-1])} or {known[-1]}", markup=False)
    return answer


def pasted(what: str) -> str:
    """Return the lines that a person pastes, up to an empty line or the end of the input.

    Args:
        what: what to paste.
    """
    err.print(f"Paste {what}. An empty line ends it:", markup=False)
    lines: list[str] = []
    while (line := sys.stdin.readline()).strip():
        lines.append(line)
    return "".join(lines)


def check_choice(kind: str, given: str | None, known: tuple[str, ...]) -> None:
    """Check an option with a few values.

    Raises:
        CommandFailed: it has another one.
    """
    if given is not None and given not in known:
        raise CommandFailed(unknown_name(kind, given, known), EXIT_WRONG)
