"""`xyte-gateway restore`: put a backup in the place of the store, while no gateway runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import AsJson, ConfigFile, errors_shown, load_config, out, print_json
from gateway.cli.passphrases import PassphraseFile, asked_passphrase, given_passphrase
from gateway.config.settings import DEFAULT_FILE
from gateway.state.recovery.backups import needs_passphrase, restore_backup


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    *,
    passphrase_file: PassphraseFile = None,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the store; the former store is kept beside it. The gateway has to be stopped.

    The gateway then goes on as the one of the backup. The machine on which that was made must not run as it any more. Children
    that were registered since are found again in the cloud.
    """
    with errors_shown(as_json=as_json):
        configuration, _ = load_config(config, for_cloud=False)
        path = configuration.settings.store.path
        passphrase = given_passphrase(passphrase_file)
        if passphrase is None and needs_passphrase(file):
            passphrase = asked_passphrase(is_new=False)
        restored = restore_backup(file, path, passphrase)
    content = restored.content
    if as_json:
        print_json(
            {
                "store": str(path),
                **dataclasses.asdict(content),
                "replaced": None if restored.replaced is None else str(restored.replaced),
                "replaced_identities": None if restored.replaced_mirror is None else str(restored.replaced_mirror),
            }
        )
        return
    out.print(
        f"{path}: {content.serial_number} with {content.children} children and {content.samples} waiting samples",
        markup=False,
        soft_wrap=True,
    )
    for kept, what in ((restored.replaced, "the former store"), (restored.replaced_mirror, "its copy of the identities")):
        if kept is not None:
            out.print(f"{what} is kept as {kept}", markup=False, soft_wrap=True)
