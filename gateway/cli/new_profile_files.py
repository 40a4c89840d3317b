"""Write the files of a new profile: the profile, its grammar for editors, and its first case folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import strict_json
from gateway.adapter import NewProfile
from gateway.cli.common import EXIT_WRONG, CommandFailed

FIRST_CASE = "first"


@dataclass(frozen=True, slots=True)
class NewFiles:
    """The places of a new profile."""

    folder: Path
    name: str
    adapter: str

    @property
    def profile(self) -> Path:
        """The profile."""
        return self.folder / f"{self.name}.toml"

    @property
    def schema(self) -> Path:
        """The JSON Schema of the profiles of the adapter."""
        return self.folder / f"{self.adapter}.schema.json"

    @property
    def all_cases(self) -> Path:
        """The folder with the cases of all profiles."""
        return self.folder / "cases"

    @property
    def cases(self) -> Path:
        """The folder with the cases of the profile."""
        return self.all_cases / self.name

    @property
    def case(self) -> Path:
        """The first case folder."""
        return self.cases / FIRST_CASE

    def check_free(self, *, with_case: bool, force: bool) -> None:
        """Refuse to replace a profile or a case.

        Raises:
            CommandFailed: one is there, and nobody has said that it may be replaced.
        """
        if not force:
            for path, told in ((self.profile, "file"), *(((self.case, "case folder"),) if with_case else ())):
                if path.exists():
                    raise CommandFailed(f"{path}: there is such a {told}; --force replaces it", EXIT_WRONG)

    def write(self, made: NewProfile, schema: Any, *, with_case: bool) -> None:  # noqa: ANN401 - a JSON Schema
        """Write the profile, its case where it has one, and the schema unless the same is there.

        Raises:
            CommandFailed: a file cannot be written.
        """
        grammar = strict_json.dumps(schema, indent=2) + "\n"
        texts = {self.profile: f"#:schema {self.schema.name}\n{made.text}"}
        if with_case:
            texts |= {self.case / name: text for name, text in made.case.items()}
        if not _has(self.schema, grammar):
            texts[self.schema] = grammar
        _write(texts.items())


def _has(file: Path, text: str) -> bool:
    try:
        return file.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def _write(texts: Iterable[tuple[Path, str]]) -> None:
    for file, text in texts:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{file}: cannot be written: {error.strerror}", EXIT_WRONG) from error
