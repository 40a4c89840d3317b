"""`xyte-gateway emulator`: run the emulated cloud in the foreground, with one line for each call."""

from __future__ import annotations

import asyncio
import signal
import ssl
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

from gateway import strict_json
from gateway.emulator import Emulator, Quirks, ServerAddress
from gateway.emulator.authorities import NoCertificates, make_authorities
from gateway.emulator.journal import JournalEntry
from gateway.emulator.quirks import BadQuirk
from gateway.errors import StoreError


def emulator(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on. 0.0.0.0 opens it to the network, without a password.")
    ] = "127.0.0.1",
    entry_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the entry server, where devices register; 0: any.")
    ] = 9080,
    hub_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the hub server and of the control API; 0: any.")
    ] = 9081,
    static_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the hub with the static certificate. Default: the hub's port and 1."),
    ] = None,
    files_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of the server for model files. Default: the hub's port and 2.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="FILE", help="Keep devices, keys, queues and versions in this file.")
    ] = None,
    hardware_key: Annotated[
        list[str] | None, typer.Option(metavar="GUID", help="Accept only this hardware key; repeatable. Default: any GUID.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="UUID", help="Accept only this model id for children; repeatable. Default: any UUID."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="PEM", help="Speak HTTPS with this certificate (chain).")
    ] = None,
    private_key: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="PEM", help="The certificate's private key.")
    ] = None,
    static_certificate: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="PEM",
            help="Certificate (chain) of the hub with the static certificate, of another authority, for 127.0.0.2 on loopback.",
        ),
    ] = None,
    static_private_key: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="PEM", help="The static certificate's private key.")
    ] = None,
    tls: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            metavar="FOLDER",
            help="Speak HTTPS with certificates made for this run, the static one of another authority. "
            "The folder gets hub-ca.pem, static-ca.pem and both-ca.pem for `ca_file`.",
        ),
    ] = None,
    quirk: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Behave differently where Xyte's documentation is open; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with the addresses, then one for each call.")] = False,
) -> None:
    """Run an emulated Xyte cloud on this machine: entry server, hub servers, a server for files, and a control API for tests.

    Set `entry_url` of a gateway to the address that is shown. HUB/_emulator/ lists the control API, HUB/_emulator/quirks all
    quirks. On 127.0.0.1 the hub with the static certificate is 127.0.0.2 and the server for files 127.0.0.3. Stops after Ctrl-C.
    """
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    try:
        hub_tls = _tls(certificate, private_key)
        static_tls = _tls(static_certificate, static_private_key, prefix="--static-")
        if tls is not None:
            made_for_hub, made_for_static = make_authorities(tls, host)
            hub_tls, static_tls = hub_tls or made_for_hub, static_tls or made_for_static
        cloud = Emulator(
            ServerAddress(
                host=host,
                entry_port=entry_port,
                hub_port=hub_port,
                ssl_context=hub_tls,
                static_port=_port_after(hub_port, 1, static_port),
                static_ssl_context=static_tls,
                files_port=_port_after(hub_port, 2, files_port),
            ),
            store=store,
            hardware_keys=hardware_key or None,
            models=model or None,
            quirks=_quirks(quirk or []),
            on_call=_print_call_as_json if as_json else partial(_print_call, console),
        )
        asyncio.run(_serve(cloud, None if as_json else console))
    except (NoCertificates, OSError, StoreError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        typer.echo(f"The emulator cannot run: {reason}", err=True)
        raise typer.Exit(1) from error


def _quirks(words: list[str]) -> Quirks:
    try:
        return Quirks.parse(words)
    except BadQuirk as error:
        raise typer.BadParameter(str(error), param_hint="--quirk") from error


def _port_after(hub_port: int, distance: int, given: int | None) -> int:
    """Return the port of a further server; any where the hub has any."""
    return given if given is not None else hub_port + distance if hub_port else 0


def _tls(certificate: Path | None, private_key: Path | None, *, prefix: str = "--") -> ssl.SSLContext | None:
    if certificate is None and private_key is None:
        return None
    if certificate is None or private_key is None:
        raise typer.BadParameter(f"HTTPS needs both {prefix}certificate and {prefix}private-key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, private_key)
    except OSError as error:
        raise typer.BadParameter(f"{certificate} with {private_key}: {error}", param_hint=f"{prefix}certificate") from error
    return context


async def _serve(cloud: Emulator, console: Console | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with cloud:
        if console is None:
            addresses = {
                "entry_url": cloud.entry_url,
                "hub_url": cloud.hub_url,
                "hub_url_static_cert": cloud.static_hub_url,
                "files_url": cloud.files_url,
            }
            typer.echo(strict_json.dumps(addresses))
        else:
            _show_addresses(console, cloud)
        await stop.wait()


def _show_addresses(console: Console, cloud: Emulator) -> None:
    console.print(f"entry    {cloud.entry_url}   for registration", markup=False)
    console.print(f"hub      {cloud.hub_url}   for all other calls", markup=False)
    console.print(f"control  {cloud.hub_url}/_emulator/   the control API", markup=False)
    console.print(f"static   {cloud.static_hub_url}   the hub with the static certificate", markup=False)
    console.print(f"files    {cloud.files_url}   for model files", markup=False)
    if cloud.cloud.devices:
        console.print(f"{len(cloud.cloud.devices)} devices are in the store", markup=False)


def _print_call(console: Console, entry: JournalEntry) -> None:
    """Print one call as a line: time, call, device, status, and error."""
    status = "dropped" if entry.status is None else str(entry.status)
    is_good = entry.status is not None and entry.status < 300
    problems = "  ".join(filter(None, (entry.error, f"fault {entry.fault}" if entry.fault else None)))
    who = _printable(entry.device_name or entry.device or entry.path)
    if entry.device and entry.device_name:
        who = f"{who} ({_printable(entry.device[:8])})"
    console.print(
        Text.assemble(
            (f"{entry.time.astimezone():%H:%M:%S}", "dim"),
            f"  {entry.call:28}  {who:40}  ",
            (status, "green" if is_good else "red"),
            f"  {_printable(problems)}" if problems else "",
        )
    )


def _print_call_as_json(entry: JournalEntry) -> None:
    typer.echo(_ENTRY.dump_json(entry))


def _printable(text: str) -> str:
    """Return a text of a client without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


_ENTRY = TypeAdapter(JournalEntry)
