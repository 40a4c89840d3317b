"""Read the modules of `gateway` and `adapters`, their docstrings and their imports, from source. Pure but for reading files.

An import counts wherever it stands: at the top, inside a function, under `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = ("gateway", "adapters")


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name; `import x` has no name of its own."""

    module: str
    name: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """One source file."""

    name: str
    path: str
    is_package: bool
    docstring: str
    imports: tuple[Import, ...]
    waits: bool
    """Whether it holds an `await`, an `async for`, an `async with`, or an `async def` that does anything."""

    @property
    def first_paragraph(self) -> str:
        return " ".join(self.docstring.split("\n\n")[0].split())

    @property
    def parents(self) -> list[str]:
        """The packages around it, the innermost first."""
        parts = self.name.split(".")
        return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


class SourceTree:
    """All modules by name. `with_file` gives a tree with one more, or another, so that a law can be shown a breach."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = {module.name: module for module in modules}

    @classmethod
    def read(cls, root: Path = ROOT) -> SourceTree:
        paths = sorted(path for package in OURS for path in (root / package).rglob("*.py"))
        return cls(module_from(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths)

    def with_file(self, path: str, source: str) -> SourceTree:
        return SourceTree([*self, module_from(path, source)])

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def __getitem__(self, name: str) -> Module:
        return self.modules[name]

    def own(self, imported: Import) -> str | None:
        """Return the module of ours that is imported; `None` for what is not ours.

        `from gateway.cloud import http` imports the module `gateway.cloud.http`, and `from gateway.hub import Hub` the module
        `gateway.hub`.
        """
        if f"{imported.module}.{imported.name}" in self.modules:
            return f"{imported.module}.{imported.name}"
        return imported.module if imported.module in self.modules else None

    def origin(self, imported: Import) -> str | None:
        """Return the module of ours that defines what is imported, where the one that is named only hands it on."""
        own = self.own(imported)
        if own is None or own != imported.module:
            return own
        handed_on = (other for other in self[own].imports if other.name == imported.name and self.own(other) not in (None, own))
        return next((self.origin(other) for other in handed_on), own)

    def imported_by(self, module: Module) -> set[str]:
        """Return the modules of ours that a module imports by name."""
        return {own for imported in module.imports if (own := self.own(imported)) is not None and own != module.name}


def module_from(path: str, source: str) -> Module:
    """Return the module that a source is at this path."""
    tree = ast.parse(source, path)
    parts = path.removesuffix(".py").split("/")
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    package = name if is_package else ".".join(parts[:-1])
    nodes = list(ast.walk(tree))
    imports = tuple(found for node in nodes for found in _imports(node, package))
    return Module(name, path, is_package, ast.get_docstring(tree) or "", imports, any(_waits(node) for node in nodes))


def _waits(node: ast.AST) -> bool:
    """A contract may declare what waits: an `async def` of a docstring or `...` alone does not wait itself."""
    if isinstance(node, ast.AsyncFunctionDef):
        return not all(isinstance(it, ast.Expr) and isinstance(it.value, ast.Constant) for it in node.body)
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)


def _imports(node: ast.AST, package: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, None, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, base]).rstrip(".")
        yield from (Import(base, alias.name, node.lineno) for alias in node.names)
