"""Get the passphrase of a backup from a file, the environment or the keyboard, and never from the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway.cli.common import EXIT_WRONG, CommandFailed

VARIABLE: Final = "XYTE_GATEWAY_BACKUP_PASSPHRASE"

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=f"A file that holds nothing but the passphrase; or set {VARIABLE}."),
]


def given_passphrase(file: Path | None) -> str | None:
    """Return the passphrase of the file or the environment; `None` where there is neither."""
    if file is None:
        return os.environ.get(VARIABLE) or None
    try:
        passphrase = file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CommandFailed(f"the passphrase cannot be read from {file}: {why}", EXIT_WRONG) from error
    if not passphrase:
        raise CommandFailed(f"{file} is empty; it has to hold the passphrase", EXIT_WRONG)
    return passphrase


def asked_passphrase(*, is_new: bool) -> str:
    """Ask a person for the passphrase, twice for a new one."""
    if not sys.stdin.isatty():
        raise CommandFailed(f"a passphrase is needed: --passphrase-file, or the variable {VARIABLE}", EXIT_WRONG)
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True))
