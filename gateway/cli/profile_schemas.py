"""`xyte-gateway schema profile`: the grammar of profiles and of case folders, for editors and for authors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.adapter import NotOffered, unknown_name
from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, errors_shown, print_json
from gateway.cli.config_schemas import show_schema
from gateway.field.plugins import installed, usable


def show_profile_grammar(
    adapter: Annotated[str, typer.Argument(help="The adapter whose profiles are meant.")] = "modbus",
    file: Annotated[
        str, typer.Option("--file", help="Which file: profile, or device or expected, the two files of a case folder.")
    ] = "profile",
    *,
    as_json: AsJson = False,
) -> None:
    """List the keys of a profile; with --json as JSON Schema, by which an editor checks a file while it is written.

    Keep it beside your profiles (`xyte-gateway schema profile modbus --json > modbus.schema.json`), and write
    `#:schema modbus.schema.json` into the first line of each. What a schema cannot say, such as that two points overlap, is told
    by `xyte-gateway profile check`.
    """
    with errors_shown(as_json=as_json):
        schema = _schema(adapter, file)
    if as_json:
        print_json(schema)
    else:
        show_schema(schema)


def _schema(adapter: str, file: str) -> Mapping[str, Any]:
    known = usable(installed())
    if adapter not in known:
        raise CommandFailed(unknown_name("adapter", adapter, known), EXIT_WRONG)
    try:
        schemas = known[adapter].workbench().schemas()
    except NotOffered as error:
        raise CommandFailed(f"{adapter}: {error}", EXIT_WRONG) from error
    if file not in schemas:
        raise CommandFailed(unknown_name("file", file, schemas), EXIT_WRONG)
    return schemas[file]
