"""Importing a light module does not import a heavy one: told by the names of the modules that are then loaded, not by a clock."""

import json
import subprocess
import sys

import pytest

WEB = ("aiohttp", "jinja2", "prometheus_client", "yarl")
DEVICES = ("bleak", "dbus_fast", "pymodbus", "serial")
PARTS = ("gateway.cloud", "gateway.field", "gateway.runtime", "gateway.state", "gateway.status", "adapters", "sqlite3")

LIGHT = {
    # `--help`, `--version` and the completion of a shell wait for nothing but typer.
    "gateway.cli": (*WEB, *DEVICES, *PARTS, "asyncio", "pydantic", "rich"),
    # What an adapter imports must not bring the gateway along: an author's tests start in a moment.
    "gateway.adapter": (*WEB, *DEVICES, *PARTS, "rich", "typer"),
    "gateway.testing.contract": (*WEB, *DEVICES, *PARTS, "pytest", "rich", "typer"),
    # A container asks for its health every few seconds.
    "gateway.cli.health": (*WEB, *DEVICES, "adapters", "gateway.cloud", "gateway.runtime", "sqlite3"),
    # The list of the children comes from the store.
    "gateway.cli.children": ("aiohttp", "jinja2", "bleak", "pymodbus", "gateway.runtime", "gateway.status"),
    # Only a search on the network loads what it needs.
    "gateway.first_start.configuration_wait": ("zeroconf", "ifaddr"),
    # Nouns are imported by everything.
    "gateway.models": (*WEB, *DEVICES, *PARTS, "asyncio", "rich", "typer"),
}


def loaded_by(module):
    """Everything that a new interpreter has loaded after this import."""
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_stays_light(module):
    loaded = loaded_by(module)
    assert module in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{heavy}." for heavy in LIGHT[module]))] == []


def test_a_heavy_import_would_be_noticed():
    assert {"aiohttp", "yarl"} <= set(loaded_by("gateway.cloud.http"))
