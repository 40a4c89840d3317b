"""`xyte-gateway token`: make a new token for the status page, and show it."""

from __future__ import annotations

import sys

from gateway.cli.common import AsJson, CommandFailed, ConfigFile, err, errors_shown, print_json
from gateway.config.file import file_exists
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE
from gateway.status.auth.token_file import make_token, token_file


def token(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Make a new token for the status page and print it; the former one is not valid any more.

    A running gateway takes it at once. Exit code 0; 1 when the token cannot be stored, and the former one stays.
    """
    settings = salvage(config)
    file = token_file(settings.store.path).absolute()

    def show(made: str) -> None:
        if as_json:
            print_json({"token": made, "file": str(file)})
        else:
            sys.stdout.write(f"{made}\n")
        sys.stdout.flush()

    with errors_shown(as_json=as_json):
        if not file_exists(file.parent):
            text = f"there is no folder {file.parent}: no gateway has run with this store. --config names the configuration"
            raise CommandFailed(text)
        make_token(file, show)
    if not as_json:
        missing = "" if file_exists(config) else f"; there is no configuration at {config}, so that is the store of a default one"
        err.print(f"The token of the status page; its hash is in {file}{missing}.", markup=False)
        if not settings.status.enabled:
            err.print("The configuration disables the page: [status] enabled", markup=False)
