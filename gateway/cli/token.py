"""`xyte-gateway token`: make, list and withdraw the tokens of the status page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gateway.cli.common import EXIT_WRONG, AsJson, CommandFailed, ConfigFile, err, errors_shown, out, print_json
from gateway.config.file import file_exists
from gateway.config.salvage import salvage
from gateway.config.settings import DEFAULT_FILE
from gateway.models import parse_name
from gateway.status.auth.token_file import make_token, read_tokens, token_file, withdraw_token
from gateway.status.auth.tokens import DEFAULT_NAMES, Role, Token


def token(
    config: ConfigFile = DEFAULT_FILE,
    *,
    role: Annotated[
        Role, typer.Option("--role", help="What its holder may do; each includes those before it.")
    ] = Role.ADMINISTER,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Its name, such as that of a person or a program; without one it replaces that of its role."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Withdraw a token of that name.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the tokens: names, roles, and when they were used.")] = False,
    withdraw: Annotated[
        str | None, typer.Option("--withdraw", metavar="NAME", help="Make the token of this name invalid.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for the status page and print it, or list or withdraw some.

    Without --name and --role, it replaces the one that the gateway logged at its first start, which may administer.
    A running gateway follows at once: who has signed in with a token that is withdrawn is signed out.
    Exit code 0; 1 when it cannot be done, and everything stays; 2 when the options contradict each other.
    """
    settings = salvage(config)
    file = token_file(settings.store.path).absolute()
    with errors_shown(as_json=as_json):
        if list_all and (withdraw is not None or name is not None or replace):
            raise CommandFailed("--list goes with no other option but --json and --config", EXIT_WRONG)
        if withdraw is not None and (name is not None or replace):
            raise CommandFailed("--withdraw goes with no other option but --json and --config", EXIT_WRONG)
        if not file_exists(file.parent):
            text = f"there is no folder {file.parent}: no gateway has run with this store. --config names the configuration"
            raise CommandFailed(text)
        if list_all:
            _list(file, as_json=as_json)
            return
        if withdraw is not None:
            _withdraw(file, withdraw, as_json=as_json)
            return
        _make(file, role, name, may_replace=name is None or replace, as_json=as_json)
    if not as_json:
        missing = "" if file_exists(config) else f"; there is no configuration at {config}, so that is the store of a default one"
        called = DEFAULT_NAMES[role] if name is None else name
        err.print(f"The token {called} of the status page, which may {role}; its hash is in {file}{missing}.", markup=False)
        if not settings.status.enabled:
            err.print("The configuration disables the page: [status] enabled", markup=False)


def _make(file: Path, role: Role, name: str | None, *, may_replace: bool, as_json: bool) -> None:
    try:
        called = None if name is None else parse_name(name)
    except ValueError as error:
        raise CommandFailed(f"--name: {error}", EXIT_WRONG) from error

    def show(made: str) -> None:
        if as_json:
            print_json({"token": made, "file": str(file), "name": called or DEFAULT_NAMES[role], "role": role.value})
        else:
            sys.stdout.write(f"{made}\n")
        sys.stdout.flush()

    make_token(file, show, role=role, name=called, may_replace=may_replace)


def _list(file: Path, *, as_json: bool) -> None:
    tokens = sorted(read_tokens(file) or (), key=lambda one: one.name)
    if as_json:
        print_json({"tokens": [one.facts() for one in tokens]})
    elif tokens:
        table = Table("name", "may", "made", "last used", box=None, pad_edge=False)
        for one in tokens:
            table.add_row(escape(one.name), one.role.value, *(_day(day) for day in (one.made, one.used)))
        out.print(table)
    else:
        err.print("The status page has no token: xyte-gateway token makes one.", markup=False)


def _day(day: object) -> str:
    return "not known" if day is None else str(day)


def _withdraw(file: Path, name: str, *, as_json: bool) -> None:
    withdrawn: Token = withdraw_token(file, name)
    if as_json:
        print_json({"withdrawn": withdrawn.facts()})
        return
    err.print(f"The token {name} is not valid any more; who has signed in with it is signed out.", markup=False)
    if not any(one.role is Role.ADMINISTER for one in read_tokens(file) or ()):
        err.print("No token may administer now: xyte-gateway token makes one.", markup=False)
