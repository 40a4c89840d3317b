"""Check the configuration for mistakes, and its files with secrets for modes that let other users read them."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.config.mistakes import ENV_PREFIX
from gateway.config.permissions import ceiling
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.device_files import is_in_container
from gateway.doctor.known_config import KnownConfig
from gateway.models import Finding, Permission

SECRET_WORDS = ("key", "password", "secret", "token", "irk")
NOT_SECRET = frozenset({"ca_file"})
CONTAINER_SECRETS = Path("/run/secrets")
"""Files that are mounted here have the mode that the engine gave them, and no other user can read them."""


async def config_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield every mistake of the configuration, or that there is none."""
    if not known.is_given:
        meaning = f"there is no {DEFAULT_FILE} here, so the other checks use defaults"
        fix = "create one from deploy/gateway.example.toml, or name one with --config"
        yield Finding.not_looked_at("config", meaning, fix)
        return
    for problem in known.problems:
        line = f":{problem.line}" if problem.line else ""
        place = f"{known.file}{line}" if known.file and not problem.where.startswith(ENV_PREFIX[:-1]) else "environment"
        where = "" if problem.where == "file" else f"{problem.where}: "
        yield Finding.fault("config", f"{place}: {where}{problem.wrong}", problem.right)
    if not known.problems:
        buses = ", ".join(f"{entry.name} ({entry.type})" for entry in known.entries)
        source = str(known.file or "the environment alone")
        if buses:
            yield Finding.fine("config", f"{source} has no mistake; adapters: {buses}")
        else:
            fix = "add one for each kind of bus; deploy/gateway.example.toml shows them all"
            yield Finding.warning(
                "config", f"{source} has no mistake, but no [[adapter]] either, so no device will be found", fix
            )


async def hook_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield whether the program that installs firmware can be run, where one is named."""
    hook = None if known.settings is None else known.settings.gateway.firmware_hook
    if known.settings is None or hook is None:
        return
    if not hook.is_file():
        yield Finding.fault("firmware hook", f"there is no program {hook}", "correct `firmware_hook` in [gateway]")
    elif not os.access(hook, os.X_OK):
        yield Finding.fault("firmware hook", f"{hook} may not be executed", f"chmod +x {hook}")
    elif not ceiling(Configuration(known.file, known.settings, ())).may.includes(Permission.FIRMWARE):
        meaning = f"{hook} is never called, since the cloud may not replace firmware"
        yield Finding.warning("firmware hook", meaning, 'set `may = "firmware"` in [cloud], or remove `firmware_hook`')
    else:
        yield Finding.fine("firmware hook", f"{hook} can be executed")


async def secrecy_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield which files with secrets other users can read or change."""
    if known.file is not None and known.file.is_file():
        secrets = sorted(set(_secret_keys(_without_page_key(known.tables))))
        yield _mode_finding("config file", known.file, is_secret=bool(secrets), why=f"it contains {', '.join(secrets)}")
    for file in dict.fromkeys(_secret_files(known)):
        if file.is_file():
            yield _mode_finding(f"secret {file}", file, is_secret=not _is_container_secret(file), why="it is a secret")


def _mode_finding(what: str, file: Path, *, is_secret: bool, why: str) -> Finding:
    status = file.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o002 or (is_secret and mode & 0o004):
        verb = "change" if mode & 0o002 else "read"
        is_by_group = status.st_uid != os.geteuid() and status.st_gid in os.getgroups()
        fix = f"chmod {'640' if is_by_group else '600'} {file}"
        return Finding.warning(what, f"every user of this machine may {verb} {file} (mode {mode:04o}), and {why}", fix)
    return Finding.fine(
        what, f"mode {mode:04o}{': other users cannot read it' if not mode & 0o004 else ', and it contains no secret'}"
    )


def _secret_keys(tables: object, name: str = "") -> Iterator[str]:
    """Yield the keys whose values are secrets."""
    if isinstance(tables, Mapping):
        for key, value in tables.items():
            yield from _secret_keys(value, str(key))
    elif isinstance(tables, list):
        for one in tables:
            yield from _secret_keys(one, name)
    elif isinstance(tables, str) and _is_secret(name) and not name.endswith("_file"):
        yield name


def _without_page_key(tables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tables without `[status] key`, which names a file."""
    status = tables.get("status")
    return tables if not isinstance(status, dict) else {**tables, "status": {**status, "key": None}}


def _secret_files(known: KnownConfig) -> Iterator[Path]:
    if known.settings is not None and known.settings.cloud.hardware_key_file is not None:
        yield known.settings.cloud.hardware_key_file
    if known.settings is not None and known.settings.status.key is not None:
        yield known.settings.status.key
    yield from _secret_files_in(known.tables)


def _secret_files_in(tables: Any) -> Iterator[Path]:  # noqa: ANN401 - anything that TOML can hold
    if isinstance(tables, Mapping):
        for key, value in tables.items():
            if isinstance(value, str) and str(key).endswith("_file") and key not in NOT_SECRET and _is_secret(str(key)):
                yield Path(value)
            else:
                yield from _secret_files_in(value)
    elif isinstance(tables, list):
        for one in tables:
            yield from _secret_files_in(one)


def _is_secret(key: str) -> bool:
    return any(word in key.split("_") for word in SECRET_WORDS)


def _is_container_secret(file: Path) -> bool:
    return file.is_relative_to(CONTAINER_SECRETS) and is_in_container()
