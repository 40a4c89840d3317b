"""Plant mistakes in the core files and report which ones the tests catch.

`make mutants` tries a sample in each core file, `make mutants ARGS="--file NAME --limit N"` one file. Neither well-known tool
fits, so this is a script of our own:

- mutmut 3 changes only what is inside functions, chooses the tests itself from one instrumented run of the whole suite
  (browsers, radios and containers included), and forks a process in which pytest, event loops and threads already run.
- cosmic-ray has one test command for a whole session, so fourteen core files with tests of their own are fourteen sessions; it
  changes the work tree itself unless each worker is a server with a clone of its own; and it adds about a dozen packages to the
  lock file.

Neither bounds the time of the whole. This script takes a table of files and tests (`core_files.toml`), draws the same sample
for the same seed even when other lines change, works on copies of the tree, and begins no mutant after `--minutes`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

from copies import Outcome, TreeCopy
from operators import Mutant, mutants, planted
from rich.console import Console
from rich.table import Table

TREE = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("core_files.toml")


@dataclass(frozen=True, slots=True)
class CoreFile:
    """A file in which mistakes are planted, the tests that should catch them, and the changes that no test could."""

    file: str
    tests: tuple[str, ...]
    equivalent: frozenset[tuple[str, str, str]] = frozenset()
    """`(within, before, after)` of changes that change nothing; the table says why of each."""


@dataclass(slots=True)
class Report:
    """What became of the mutants of one file."""

    file: str
    available: int = 0
    caught: list[Mutant] = field(default_factory=list)
    timed_out: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    not_tried: int = 0
    problem: str = ""
    """Why nothing was tried: the tests fail without any mistake."""

    @property
    def planted(self) -> int:
        return len(self.caught) + len(self.timed_out) + len(self.survived)

    @property
    def score(self) -> float:
        """The part of the planted mistakes that was caught; a run that had to be killed counts as caught."""
        return 1 - len(self.survived) / self.planted if self.planted else 0.0


def main() -> int:
    """Try the chosen files; exit code 1 when tests fail without a mistake, 2 when no core file has that name."""
    arguments = parse_arguments()
    cores = [core for core in read_table(arguments.table) if arguments.file in core.file]
    if not cores:
        print(f"no core file has {arguments.file!r} in its name: see {arguments.table}", file=sys.stderr)  # noqa: T201  a script
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as room:
        trial = Trial(arguments, Path(room))
        reports = trial.run(cores)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if arguments.json:
        console.print_json(json.dumps([asdict(it) | {"planted": it.planted, "score": it.score} for it in reports]))
    else:
        console.print(as_table(reports))
        console.print("\n".join(survivors(reports)), highlight=False, markup=False)
    return int(any(it.problem for it in reports))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", metavar="NAME", default="", help="only core files with this in their path")
    parser.add_argument("--limit", type=int, default=30, help="mutants for each file (default: 30)")
    parser.add_argument("--seed", default="1", help="which of them are drawn (default: 1)")
    parser.add_argument("--minutes", type=float, default=60, help="begin no mutant after that time (default: 60)")
    parser.add_argument("--processes", type=int, default=2, help="runs side by side (default: 2)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--tree", type=Path, default=TREE, help="the tree to copy (default: this one)")
    parser.add_argument("--table", type=Path, default=TABLE, help="the core files and their tests (default: core_files.toml)")
    return parser.parse_args()


def read_table(path: Path) -> list[CoreFile]:
    """Read the core files, each with its own equivalent changes."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    equivalents = table.get("equivalent", [])
    return [
        CoreFile(
            it["file"],
            tuple(it["tests"]),
            frozenset((same["within"], same["before"], same["after"]) for same in equivalents if same["file"] == it["file"]),
        )
        for it in table["core"]
    ]


def drawn(core: CoreFile, source: str, *, seed: str, limit: int) -> list[Mutant]:
    """Draw mutants by a hash of what each changes, so that lines elsewhere in the file do not change which ones are drawn."""

    def place_in_line(mutant: Mutant) -> bytes:
        return sha256(f"{seed} {core.file} {mutant.within} {mutant.before} {mutant.after}".encode()).digest()

    real = [it for it in mutants(source) if (it.within, it.before, it.after) not in core.equivalent]
    return sorted(sorted(real, key=place_in_line)[:limit], key=lambda it: it.number)


class Trial:
    """Run the tests of core files, with one mistake each, on as many copies of the tree as there are processes."""

    def __init__(self, arguments: argparse.Namespace, room: Path) -> None:
        self._arguments = arguments
        self._ends = time.monotonic() + arguments.minutes * 60
        self._copies: SimpleQueue[TreeCopy] = SimpleQueue()
        for number in range(arguments.processes):
            self._copies.put(TreeCopy(arguments.tree, room / str(number)))

    def run(self, cores: Sequence[CoreFile]) -> list[Report]:
        with ThreadPoolExecutor(self._arguments.processes) as pool:
            return [self._run_file(core, pool) for core in cores]

    def _run_file(self, core: CoreFile, pool: ThreadPoolExecutor) -> Report:
        report = Report(core.file)
        with self._borrowed() as copy:
            source = copy.read(core.file)
            unchanged = copy.run(core.tests, limit_seconds=600)
        if not unchanged.passed:
            report.problem = f"the tests fail without a mistake: {unchanged.failed or unchanged.output[-2000:]}"
            return report
        # Four times as long as without a mistake, and the time that a busy machine takes to begin.
        limit_seconds = 4 * unchanged.seconds + 15
        chosen = drawn(core, source, seed=self._arguments.seed, limit=self._arguments.limit)
        report.available = len(mutants(source))
        outcomes = pool.map(lambda mutant: self._try(core, source, mutant, limit_seconds), chosen)
        for mutant, outcome in zip(chosen, outcomes, strict=True):
            self._note(report, mutant, outcome)
        return report

    def _try(self, core: CoreFile, source: str, mutant: Mutant, limit_seconds: float) -> Outcome | None:
        if time.monotonic() > self._ends:
            return None
        with self._borrowed() as copy:
            copy.write(core.file, planted(source, mutant.number))
            try:
                return copy.run(core.tests, limit_seconds)
            finally:
                copy.write(core.file, source)

    def _note(self, report: Report, mutant: Mutant, outcome: Outcome | None) -> None:
        if outcome is None:
            report.not_tried += 1
            return
        (report.survived if outcome.passed else report.timed_out if outcome.timed_out else report.caught).append(mutant)
        if sys.stderr.isatty() or not self._arguments.json:
            how = (
                "SURVIVED"
                if outcome.passed
                else "timed out"
                if outcome.timed_out
                else f"caught by {outcome.failed or 'an error'}"
            )
            print(f"{describe(report.file, mutant)}: {how}", file=sys.stderr, flush=True)  # noqa: T201  a script

    def _borrowed(self) -> Borrowed:
        return Borrowed(self._copies)


class Borrowed:
    """A copy of the tree, taken from those that are free and given back."""

    def __init__(self, copies: SimpleQueue[TreeCopy]) -> None:
        self._copies = copies

    def __enter__(self) -> TreeCopy:
        self._copy = self._copies.get()
        return self._copy

    def __exit__(self, *_: object) -> None:
        self._copies.put(self._copy)


def describe(file: str, mutant: Mutant) -> str:
    return f"{file}:{mutant.line} in {mutant.within or 'the module'}: `{mutant.before}` -> `{mutant.after}`"


def as_table(reports: Iterable[Report]) -> Table:
    table = Table("file", *("there are", "planted", "caught", "of them timed out", "survived", "score", "not tried"))
    for it in reports:
        if it.problem:
            table.add_row(it.file, it.problem)
            continue
        caught = len(it.caught) + len(it.timed_out)
        figures = (it.available, it.planted, caught, len(it.timed_out), len(it.survived), f"{it.score:.0%}", it.not_tried)
        table.add_row(it.file, *map(str, figures))
    return table


def survivors(reports: Iterable[Report]) -> Iterator[str]:
    for report in reports:
        for mutant in report.survived:
            yield describe(report.file, mutant)


if __name__ == "__main__":
    sys.exit(main())
