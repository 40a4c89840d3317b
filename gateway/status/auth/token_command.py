"""Tell by which command a token for the page of this very process is made."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from gateway.config.settings import DEFAULT_FILE
from gateway.device_files import is_in_container
from gateway.status.render.sign_in_help import SignInHelp

PROGRAM: Final = "xyte-gateway"


def sign_in_help(gateway: str, config: Path | None) -> SignInHelp:
    """Return what the sign-in page says.

    Args:
        gateway: the name of the gateway.
        config: the configuration file that this process was started with; `None` for none.
    """
    if is_in_container():  # its environment names the configuration
        return SignInHelp(gateway=gateway, command=f"docker compose exec gateway {PROGRAM} token")
    command = [_program(), "token"]
    if config is not None and config.absolute() != DEFAULT_FILE.absolute():
        command += ["--config", str(config.absolute())]
    return SignInHelp(gateway=gateway, command=shlex.join(command))


def _program() -> str:
    """Return how this program is called: by its path where a shell would not find it."""
    started = Path(os.path.abspath(sys.argv[0]))  # noqa: PTH100 - a link such as /usr/bin/xyte-gateway is the name that people type
    if started.name != PROGRAM or shutil.which(PROGRAM) == str(started):
        return PROGRAM
    return str(started)
