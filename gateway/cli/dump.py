"""`xyte-gateway dump`: write what helps to find a fault into one archive, without any secret."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.common import AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.config.settings import DEFAULT_FILE, Configuration
from gateway.doctor.checks import examine_running
from gateway.field.plugins import AdapterClass, usable
from gateway.runtime.diagnostics.contents import (
    Dump,
    DumpCollector,
    Part,
    commands_part,
    configuration_part,
    findings_part,
    json_text,
    versions_part,
)
from gateway.state.command_ledger import CommandLedger
from gateway.state.registry import Registry
from gateway.state.store import Store


def dump(
    to: Annotated[
        Path | None, typer.Option("--out", "-o", help="The archive to write; named by the gateway when left out.")
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Write configuration, versions, children, commands and the findings of `doctor` into one archive, without any secret.

    Works beside a running gateway and without one. Its log is in the journal; the cloud's command `dump` sends that, too.
    """
    with errors_shown(as_json=as_json):
        configuration, plugins = load_config(config, for_cloud=False)
        made = asyncio.run(_collect(configuration, usable(plugins)))
        file = Path(made.name) if to is None else to
        _write(file, made.content)
    if as_json:
        print_json({"file": str(file), "bytes": len(made.content)})
    else:
        out.print(f"{file}: {len(made.content) // 1024 + 1} KB, without secrets", markup=False, soft_wrap=True)


async def _collect(configuration: Configuration, adapters: dict[str, AdapterClass]) -> Dump:
    parts: dict[str, Part] = {
        "configuration.json": configuration_part(lambda: configuration),
        "versions.json": versions_part(),
        "doctor.json": findings_part(partial(examine_running, configuration, adapters)),
    }
    path = configuration.settings.store.path
    if not path.exists():
        return await DumpCollector(lambda: configuration, Registry(Store(path)), parts).collect()
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        parts |= {"children.json": partial(_children, registry), "commands.json": commands_part(CommandLedger(store))}
        return await DumpCollector(lambda: configuration, registry, parts).collect()


async def _children(registry: Registry) -> str:
    return json_text(
        {
            "children": [
                {**asdict(record.child), "state": record.state, "id": record.device_id, "problem": record.problem}
                for record in registry.children.values()
            ],
            "found": [asdict(device) for device in registry.found_devices.values()],
        }
    )


def _write(file: Path, content: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as archive:
            archive.write(content)
    except FileExistsError:
        raise CommandFailed(f"{file} exists already; name another file with --out") from None
    except OSError as error:
        raise CommandFailed(f"{file} cannot be written: {error.strerror}") from error
