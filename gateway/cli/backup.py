"""`xyte-gateway backup`: write the store into one file, also while the gateway runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import AsJson, ConfigFile, errors_shown, load_config, out, print_json
from gateway.cli.passphrases import PassphraseFile, asked_passphrase, given_passphrase
from gateway.config.settings import DEFAULT_FILE
from gateway.state.recovery.backups import write_backup


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt it; asks for a passphrase where none is given.")] = False,
    passphrase_file: PassphraseFile = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file of this name.")] = False,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Write everything that a new disk or machine needs to go on as this gateway into one file, also while it runs.

    It contains access keys. With a passphrase it is encrypted (AES-256-GCM, scrypt); else only its owner may read it.
    """
    with errors_shown(as_json=as_json):
        configuration, _ = load_config(config, for_cloud=False)
        passphrase = given_passphrase(passphrase_file)
        if encrypt and passphrase is None:
            passphrase = asked_passphrase(is_new=True)
        content = write_backup(configuration.settings.store.path, file, passphrase, may_replace=replace)
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size, **dataclasses.asdict(content)})
    else:
        protection = "encrypted" if content.is_encrypted else "not encrypted: it contains access keys, keep it private"
        out.print(
            f"{file}: {content.serial_number} with {content.children} children and {content.samples} waiting samples,"
            f" {file.stat().st_size // 1024 + 1} KB, {protection}",
            markup=False,
            soft_wrap=True,
        )
