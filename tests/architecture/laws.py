"""The laws of imports: each function returns the breaches that it finds in a source tree, as sentences. Pure.

The laws hold for every module by default, and name only their exceptions; a new file is under all of them. What layers there
are, and which rooms are above which, is in `pyproject.toml` for import-linter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from source_tree import OURS, Import, Module, SourceTree

WAITING_LIBRARIES = frozenset(
    (
        "asyncio",
        "socket",
        "sqlite3",
        "aiohttp",
        "bleak",
        "dbus_fast",
        "pymodbus",
        "serial",
        "serial_asyncio",
        "threading",
        "subprocess",
    )
)
"""What a pure module does not import: whatever waits for a device, a disk, a peer or another thread."""

EVERYWHERE = frozenset(("pydantic", "pydantic_core", "pydantic_settings"))
"""Outside libraries without a file of their own: the models are made of them."""

IMPORTED_ONLY_BY: Mapping[str, tuple[str, ...]] = {
    "aiohttp": (
        "gateway/cloud/http.py",
        "gateway/emulator/*",
        "gateway/runtime/notify/webhook.py",
        "gateway/runtime/update_address.py",
        "gateway/status/*",
    ),
    "aiosmtplib": ("gateway/runtime/notify/mail.py",),
    "bleak": ("adapters/ble/radio/radio.py", "adapters/ble/radio/connection.py", "gateway/testing/bluetooth/bleak_backend.py"),
    "bleak_retry_connector": ("adapters/ble/radio/radio.py",),
    "cryptography": (
        "adapters/ble/advertisements/advertisement.py",
        "adapters/serial/codecs/dlms.py",
        "adapters/modbus/client/certificates.py",
        "gateway/emulator/authorities.py",
        "gateway/emulator/signing.py",
        "gateway/status/listening/self_signed.py",
        "gateway/state/recovery/backup_encryption.py",
        "gateway/testing/serial/meter.py",
    ),
    "dbus_fast": (
        "adapters/ble/radio/bluez.py",
        "adapters/ble/radio/pairing.py",
        "adapters/ble/radio/passive_scan.py",
        "gateway/testing/bluetooth/*",
    ),
    "ifaddr": ("gateway/network_search/interfaces.py",),
    "jinja2": ("gateway/status/render/templates.py",),
    "markupsafe": ("gateway/status/*",),
    "polib": ("gateway/status/languages/catalogue.py",),
    "prometheus_client": ("gateway/status/routes/metrics.py",),
    "pymodbus": tuple(f"adapters/modbus/client/{one}.py" for one in ("connection", "frame_descriptions", "pymodbus_pdus")),
    "rich": ("gateway/cli/*",),
    "segno": ("gateway/status/render/qr_code.py",),
    "serial": ("adapters/serial/port/port.py",),
    "serial_asyncio": ("adapters/serial/port/port.py",),
    "tomlkit": ("gateway/config/toml_editing.py",),
    "typer": ("gateway/cli/*",),
    "yarl": ("gateway/cloud/http.py",),
    "zeroconf": ("gateway/network_search/announcements.py",),
    # The standard library's own ways to a disk, a peer, another thread or another program.
    "multiprocessing": (),
    "socket": (
        "adapters/modbus/client/keepalive.py",
        "adapters/modbus/client/open_errors.py",  # the names of the errors of getaddrinfo
        "adapters/modbus/client/udp.py",  # the kind and family of an address
        "adapters/serial/port/port.py",
        "adapters/serial/tools/doctor_checks.py",  # whether the name of a host can be looked up
        "gateway/cli/demo.py",
        "gateway/cloud/http.py",
        "gateway/doctor/*",
        "gateway/network_search/interfaces.py",  # the kernel's own list of interfaces
        "gateway/service_manager.py",
        "gateway/status/listening/listener.py",  # connections are limited before aiohttp has them
        "gateway/runtime/process_state.py",
        "gateway/testing/hostile_process.py",
        "gateway/testing/tcp_reset.py",
    ),
    "sqlite3": ("gateway/state/database/sqlite.py",),
    "subprocess": ("gateway/runtime/firmware/hook.py",),  # the program that a deployer names for installing firmware
    "threading": (
        "adapters/serial/port/*",
        "gateway/doctor/check_runner.py",
        "gateway/runtime/firmware/hook.py",
        "gateway/runtime/loop_watchdog.py",
        "gateway/runtime/process.py",
        "gateway/testing/hostile_control_flow.py",
        "gateway/runtime/process_state.py",
        "gateway/testing/hostile_process.py",
    ),
    "urllib.request": (),
    "http.client": ("gateway/cli/health.py",),  # one request to the status page, without the second that aiohttp takes to import
}
"""The only files that may import a library. One that is not in here may not be imported at all until somebody decides where."""


def is_pure(module: Module, tree: SourceTree) -> bool:
    """Return whether the first paragraph of the docstring, or that of a package around it, ends with the sentence `Pure.`"""
    return any(_says_pure(tree[name]) for name in (module.name, *module.parents) if name in tree.modules)


def _says_pure(module: Module) -> bool:
    return module.first_paragraph.endswith("Pure.")


def purity_breaches(tree: SourceTree) -> list[str]:
    """A pure module imports no library that waits, holds no `async`, and takes only classes and constants from other modules.

    Classes are allowed because the nouns and contracts that a decision is about are often defined beside code that waits
    (`ChildState` in the registry, everything in `gateway.adapter`), and a method of theirs that waits is an `async def`, which
    code without `await` cannot call. A function or a whole module could hide a wait, so those come from pure modules only.
    """
    return [breach for module in tree if is_pure(module, tree) for breach in _impurities(module, tree)]


def _impurities(module: Module, tree: SourceTree) -> Iterator[str]:
    if module.waits:
        yield f"{module.path} is pure and holds async code"
    for imported in module.imports:
        library = imported.module.split(".")[0]
        if library in WAITING_LIBRARIES:
            yield f"{module.path}:{imported.line} is pure and imports {library}"
        own = tree.origin(imported)
        if own is not None and not is_pure(tree[own], tree) and not _takes_a_noun(imported, own):
            yield f"{module.path}:{imported.line} is pure and imports {imported.name or 'all'} from {own}, which is not"


def _takes_a_noun(imported: Import, own: str) -> bool:
    """Return whether a class or a constant is imported, and not a module or a function."""
    is_a_module = own == f"{imported.module}.{imported.name}"
    return imported.name is not None and not is_a_module and (imported.name[0].isupper() or imported.name.startswith("__"))


def library_breaches(tree: SourceTree) -> list[str]:
    """Each outside library is imported by the files that are named for it, and by no others."""
    return [breach for module in tree for imported in module.imports for breach in _misplaced(module, imported)]


def _misplaced(module: Module, imported: Import) -> Iterator[str]:
    library = _library(imported)
    if library is None:
        return
    allowed = IMPORTED_ONLY_BY.get(library)
    if allowed is None:
        yield f"{module.path}:{imported.line} imports {library}, and no law says which file may"
    elif not any(fnmatch(module.path, pattern) for pattern in allowed):
        yield f"{module.path}:{imported.line} imports {library}: only {', '.join(allowed) or 'no file'} may"


def _library(imported: Import) -> str | None:
    """Return the library that needs a place; `None` for what everybody may import."""
    full = f"{imported.module}.{imported.name}"
    for name in (full, imported.module, imported.module.split(".")[0]):
        if name in IMPORTED_ONLY_BY:
            return name
    top = imported.module.split(".")[0]
    return None if top in EVERYWHERE or top in OURS or top in sys.stdlib_module_names else top


def unused_places(tree: SourceTree) -> list[str]:
    """Each place in the table is one where the library is imported: a file that was renamed takes its line along."""
    used = {(library, module.path) for module in tree for imported in module.imports if (library := _library(imported))}
    return [
        f"{pattern} does not import {library}"
        for library, patterns in IMPORTED_ONLY_BY.items()
        for pattern in patterns
        if not any(library == name and fnmatch(path, pattern) for name, path in used)
    ]


def contract_breaches(tree: SourceTree) -> list[str]:
    """An adapter imports `gateway.adapter` and itself: nothing else of the gateway, and nothing of another adapter."""
    breaches = []
    for module in tree:
        if not module.name.startswith("adapters."):
            continue
        adapter = ".".join(module.name.split(".")[:2])
        others = [
            own for own in sorted(tree.imported_by(module)) if not f"{own}.".startswith(("gateway.adapter.", f"{adapter}."))
        ]
        breaches += [f"{module.path} imports {own}: an adapter may import gateway.adapter and itself" for own in others]
    return breaches


def without_layer(tree: SourceTree, contracts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Each module is in a layer of import-linter, by itself or by a package around it; a package of other modules needs none."""
    layers = {
        f"{container}.{name.strip()}".removeprefix(".")
        for contract in contracts
        if contract["type"] == "layers"
        for container in contract.get("containers", [""])
        for layer in contract["layers"]
        for name in layer.split("|")
    }
    outside = [module for module in tree if layers.isdisjoint((module.name, *module.parents))]
    return [f"{module.path} is in no layer of pyproject.toml" for module in outside if not _only_holds_others(module, tree)]


def _only_holds_others(module: Module, tree: SourceTree) -> bool:
    return module.is_package and all(own.startswith(f"{module.name}.") for own in tree.imported_by(module))


def room_of(module: Module, packages: Iterable[str]) -> str:
    """Return the room of a module: its package, if that has no packages inside; otherwise the file is a room by itself."""
    package = module.name if module.is_package else module.parents[0] if module.parents else module.name
    has_inner = any(other.startswith(f"{package}.") for other in packages)
    if not has_inner:
        return package
    return f"{module.name}.__init__" if module.is_package else module.name


def cycles(tree: SourceTree) -> list[str]:
    """No circle of imports among modules, and none among rooms."""
    packages = {module.name for module in tree if module.is_package}
    rooms = {module.name: room_of(module, packages) for module in tree}
    among_modules = {module.name: tree.imported_by(module) for module in tree}
    among_rooms: dict[str, set[str]] = {}
    for module in tree:
        arrows = {rooms[own] for own in among_modules[module.name]} - {rooms[module.name]}
        among_rooms.setdefault(rooms[module.name], set()).update(arrows)
    found = [f"a circle of modules: {' -> '.join(circle)}" for circle in _circles(among_modules)]
    return found + [f"a circle of rooms: {' -> '.join(circle)}" for circle in _circles(among_rooms)]


def _circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return one circle for each group of nodes that reach each other."""
    reached = {node: _reach(graph, node) for node in graph}
    circles, done = [], set()
    for node in sorted(graph):
        if node in reached[node] and node not in done:
            group = {other for other in reached[node] if node in reached.get(other, ())}
            done |= group
            circles.append(_walk(graph, node, group))
    return circles


def _reach(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in graph.get(waiting.pop(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def _walk(graph: Mapping[str, set[str]], start: str, group: set[str]) -> list[str]:
    """Return the shortest way from a node back to it."""
    ways = [[start]]
    for way in ways:
        for other in sorted(graph[way[-1]] & group):
            if other == start:
                return [*way, start]
            if other not in way:
                ways.append([*way, other])
    raise AssertionError(start)
