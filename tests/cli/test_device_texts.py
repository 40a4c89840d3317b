"""What a device sends does nothing to the terminal of the person who runs a command."""

import io

import pytest
from rich.markup import escape
from rich.table import Table

from gateway.cli.common import PlainConsole
from gateway.testing.bad_data import TERMINAL_TEXT


def shown(*what, **options):
    file = io.StringIO()
    PlainConsole(file=file, force_terminal=True, width=300, highlight=False).print(*what, **options)
    return file.getvalue()


@pytest.mark.parametrize("markup", [True, False])
def test_the_text_of_a_device_is_printed_without_control_characters(markup):
    text = escape(TERMINAL_TEXT) if markup else TERMINAL_TEXT
    assert shown(text, markup=markup).rstrip("\n").replace("\n", "").isprintable()


def test_so_it_is_in_a_table():
    table = Table("name", box=None)
    table.add_row(escape(TERMINAL_TEXT))
    printed = shown(table)
    assert "\x07" not in printed
    assert "\u202e" not in printed
    assert "\x1b]" not in printed


def test_an_address_with_the_name_of_an_emoji_in_it_stays_as_it_is():
    address = "AF:CD:A1:AB:7A:ID:OK"
    table = Table("address", box=None)
    table.add_row(escape(address))
    assert address in shown(table)
    assert shown(f"[bold]{address}[/]") == f"\x1b[1m{address}\x1b[0m\n"


def test_the_styles_and_lines_of_the_command_itself_stay():
    assert shown("[bold red]error:[/] one\ntwo") == "\x1b[1;31merror:\x1b[0m one\ntwo\n"
