"""Whether the configuration is right, and whether files with secrets are read by nobody else."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.config.mistakes import ENV_PREFIX
from gateway.config.settings import DEFAULT_FILE
from gateway.device_files import is_in_container
from gateway.doctor.known_config import Intake
from gateway.models import Finding

SECRET_WORDS = ("key", "password", "secret", "token", "irk")
NO_SECRETS = frozenset({"ca_file"})
SECRETS_OF_CONTAINERS = Path("/run/secrets")
"""What is mounted here has the mode that the engine gave it, and no other user is there to read it."""


async def config_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield every mistake of the configuration, or that there is none."""
    if not intake.is_given:
        meaning = f"there is no {DEFAULT_FILE} here, so what follows is looked at with defaults"
        fix = "make one from deploy/gateway.example.toml, or name one with --config"
        yield Finding.not_looked_at("config", meaning, fix)
        return
    for problem in intake.problems:
        line = f":{problem.line}" if problem.line else ""
        place = f"{intake.file}{line}" if intake.file and not problem.where.startswith(ENV_PREFIX[:-1]) else "environment"
        where = "" if problem.where == "file" else f"{problem.where}: "
        yield Finding.fault("config", f"{place}: {where}{problem.wrong}", problem.right)
    if not intake.problems:
        buses = ", ".join(f"{entry.name} ({entry.type})" for entry in intake.entries)
        source = str(intake.file or "the environment alone")
        if buses:
            yield Finding.fine("config", f"{source} has no mistake; adapters: {buses}")
        else:
            fix = "add one for each kind of bus: deploy/gateway.example.toml shows them all"
            yield Finding.warning("config", f"{source} has no mistake, but no [[adapter]] either: nothing will be found", fix)


async def secrecy_findings(intake: Intake) -> AsyncIterator[Finding]:
    """Yield which files can be read or changed by somebody whom they do not concern."""
    if intake.file is not None and intake.file.is_file():
        holds = sorted(set(_secrets_in(intake.tables)))
        yield _of_mode("config file", intake.file, keeps_secret=bool(holds), why=f"it holds {', '.join(holds)}")
    for file in dict.fromkeys(_secret_files(intake)):
        if file.is_file():
            yield _of_mode(f"secret {file}", file, keeps_secret=not _is_of_a_container(file), why="it is a secret")


def _of_mode(what: str, file: Path, *, keeps_secret: bool, why: str) -> Finding:
    found = file.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o002 or (keeps_secret and mode & 0o004):
        does = "change" if mode & 0o002 else "read"
        is_by_group = found.st_uid != os.geteuid() and found.st_gid in os.getgroups()
        fix = f"chmod {'640' if is_by_group else '600'} {file}"
        return Finding.warning(what, f"every user of this machine may {does} {file} (mode {mode:04o}), and {why}", fix)
    return Finding.fine(what, f"mode {mode:04o}{': not for everybody' if not mode & 0o004 else ', and no secret in it'}")


def _secrets_in(tables: object, name: str = "") -> Iterator[str]:
    """Yield the keys whose values are secrets."""
    if isinstance(tables, Mapping):
        for key, value in tables.items():
            yield from _secrets_in(value, str(key))
    elif isinstance(tables, list):
        for one in tables:
            yield from _secrets_in(one, name)
    elif isinstance(tables, str) and _is_secret(name) and not name.endswith("_file"):
        yield name


def _secret_files(intake: Intake) -> Iterator[Path]:
    if intake.settings is not None and intake.settings.cloud.hardware_key_file is not None:
        yield intake.settings.cloud.hardware_key_file
    yield from _files_in(intake.tables)


def _files_in(tables: Any) -> Iterator[Path]:  # noqa: ANN401 - whatever TOML holds
    if isinstance(tables, Mapping):
        for key, value in tables.items():
            if isinstance(value, str) and str(key).endswith("_file") and key not in NO_SECRETS and _is_secret(str(key)):
                yield Path(value)
            else:
                yield from _files_in(value)
    elif isinstance(tables, list):
        for one in tables:
            yield from _files_in(one)


def _is_secret(key: str) -> bool:
    return any(word in key.split("_") for word in SECRET_WORDS)


def _is_of_a_container(file: Path) -> bool:
    return file.is_relative_to(SECRETS_OF_CONTAINERS) and is_in_container()
