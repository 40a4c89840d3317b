"""Keep what was observed in one SQLite file beside the store: bounded, written seldom, and expendable.

The file is never needed for going on. A damaged file, or one of a newer version, is set aside and begun anew; a disk that takes
nothing costs history alone. Parts of the gateway hand over what they have not saved yet, and all of it is written in one
transaction: everything every few minutes and at the stop, what should not wait for that within a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, Self, TypeVar

from gateway.errors import StoreError
from gateway.plain_text import named_error
from gateway.state.database.single_instance import real_path
from gateway.state.database.sqlite import SqliteError, Transaction, connect, in_transaction, is_busy, is_damage, is_disk_failure
from gateway.state.flash_ledger import DAY_SECONDS, written_by_process
from gateway.state.history.schema import MIGRATIONS, NEWEST_VERSION, TABLES
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

T = TypeVar("T")

SAVE_FIRST_AFTER_SECONDS: Final = 60.0
SAVE_EVERY_SECONDS: Final = 300.0
"""Between two saves of everything."""

SAVE_SOON_AFTER_SECONDS: Final = 10.0
SAVE_SOON_EVERY_SECONDS: Final = 60.0
"""What should not wait is written so soon, and no more often than this."""

SAVE_AT_STOP_SECONDS: Final = 1.5
CLOSE_SECONDS: Final = 1.0

BUDGET_BYTES_A_DAY: Final = 100_000_000
"""Everything is saved more rarely where each save writes so much that this would be exceeded."""

LOG_BYTES: Final = 1024 * 1024
PAGE_BYTES: Final = 4096

FULL_SHARE: Final = 0.85
"""Above this share of the bound, parts remove their oldest rows, down to `THINNED_SHARE`."""
THINNED_SHARE: Final = 0.7
HALF: Final = 0.5
MOST_THINNINGS: Final = 25

APPLICATION_ID: Final = 0x58474849

THREAD_COUNTERS: Final = Path("/proc/thread-self/io")
"""The kernel counts the bytes of each thread by itself, too."""

_SIDE_FILES: Final = ("-wal", "-shm")


class HistoryPart(Protocol):
    """What one part of the gateway keeps in the file, in tables of its own."""

    async def unsaved(self, *, is_full: bool) -> Callable[[Transaction], None] | None:
        """Return what writes whatever is not saved yet, `None` for nothing; it is called in another thread.

        Args:
            is_full: everything; otherwise only what should not wait for the next full save.
        """

    def saved(self) -> None:
        """Note that what `unsaved` returned last is in the file. Without this call it is not, and is handed over again."""

    def begin_anew(self) -> None:
        """Note that nothing is in the file any more: whatever is known is unsaved again."""

    def thin(self, db: Transaction) -> bool:
        """Remove the least important of the own rows, about a tenth, and return whether there was something that may go.

        Called in another thread, again and again while the file is too large.
        """


def history_file(store: Path) -> Path:
    """Return the history file of a store."""
    real = real_path(store)
    return real.with_name(f"{real.stem}-history.sqlite3")


class HistoryFile:
    """The file, which exists while this is entered. Its transactions run in one thread of its own, one after the other.

    Args:
        store: the store beside which it is.
        most_bytes: how large it may be; 0: nothing is kept over a restart.
        tell: is called with a sentence when the file had to be set aside.
    """

    def __init__(self, store: Path, *, most_bytes: int, tell: Callable[[str], None] = lambda text: None) -> None:
        self._store = store
        self._most_bytes = most_bytes
        self._tell = tell
        self._parts: list[HistoryPart] = []
        self._thread: ThreadPoolExecutor | None = None
        self._connection: Transaction | None = None
        self._inode = (0, 0)
        self._told: list[str] = []
        self._begins_anew = False
        self._soon = asyncio.Event()
        self._saving = asyncio.Lock()
        self._saved_at = float("-inf")
        self._written_by_save = 0
        self.written_bytes = 0
        """Bytes that its thread has sent to the disk since the start, as the kernel counts them."""
        self.problem: str | None = None
        """Why nothing is kept, `None` while it is."""

    @property
    def path(self) -> Path:
        """Where the file is."""
        return history_file(self._store)

    @property
    def is_off(self) -> bool:
        """Whether the configuration says that nothing is kept."""
        return self._most_bytes <= 0

    async def __aenter__(self) -> Self:
        """Open or create the file. It never fails: without a file, nothing is kept until there can be one."""
        if self._most_bytes > 0:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
            with contextlib.suppress(StoreError):
                await self._run(self._open)
            self._tell_what_happened()
            self._begins_anew = False  # nobody has anything yet that an earlier file had
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._thread is None:
            return
        thread = self._thread
        closing = asyncio.get_running_loop().run_in_executor(thread, self._close)
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
        self._thread = None
        thread.shutdown(wait=False)

    def add_part(self, part: HistoryPart) -> None:
        """Save what this part observes from now on; a file that is too large is thinned by the parts that were added last."""
        self._parts.append(part)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` as one transaction in the thread of the file, and return its result: for reading, above all.

        Raises:
            StoreError: there is no file, or it cannot be used.
        """
        try:
            return await self._run(lambda: self._transact(work))
        finally:
            self._tell_what_happened()

    def save_soon(self) -> None:
        """Have saved within a minute what should not wait."""
        self._soon.set()

    async def run(self) -> None:
        """Save now and then until cancelled."""
        full_at = loop_time() + SAVE_FIRST_AFTER_SECONDS
        while True:
            if await wait_until(self._soon, full_at):
                soon_at = max(loop_time() + SAVE_SOON_AFTER_SECONDS, self._saved_at + SAVE_SOON_EVERY_SECONDS)
                await asyncio.sleep(max(min(soon_at, full_at) - loop_time(), 0.0))
            is_full = loop_time() >= full_at
            self._soon.clear()
            await self.save(is_full=is_full)
            if is_full:
                full_at = loop_time() + max(SAVE_EVERY_SECONDS, self._written_by_save / BUDGET_BYTES_A_DAY * DAY_SECONDS)

    async def save(self, *, is_full: bool = True) -> None:
        """Write what is not saved yet, in one transaction. What cannot be written is kept for the next time."""
        if self._thread is None:
            return
        async with self._saving:
            try:
                await self._save(is_full=is_full)
            except StoreError:  # `problem` says it
                pass
            except Exception as error:  # a bug of a part: it costs history, and nothing else
                if self.problem is None:
                    log.exception("history: what is observed cannot be saved")
                self.problem = named_error(error)
            self._saved_at = loop_time()
            self._tell_what_happened()

    async def save_at_stop(self) -> None:
        """Write everything, for a moment at most: a slow disk must not hold up the stop."""
        saving = asyncio.create_task(self.save())
        await asyncio.wait({saving}, timeout=SAVE_AT_STOP_SECONDS)
        if not saving.done():
            log.warning(
                "history: the disk is too slow to save it within %.1f s; the last minutes are missing", SAVE_AT_STOP_SECONDS
            )
            saving.cancel()

    async def _save(self, *, is_full: bool) -> None:
        await self._run(self._ensure_open)
        if self._begins_anew:
            self._begins_anew = False
            for part in self._parts:
                part.begin_anew()
        works = [(part, work) for part in self._parts if (work := await part.unsaved(is_full=is_full)) is not None]
        if not works:
            return
        parts = tuple(self._parts)

        def write(db: Transaction) -> None:
            for _, work in works:
                work(db)

        def counted() -> int:
            before = written_by_process(THREAD_COUNTERS) or 0
            self._transact(lambda db: self._thin(db, parts))
            try:
                self._transact(write, may_need_room=True)
            except _NeedsRoom:
                self._transact(lambda db: self._thin(db, parts, down_to=HALF))
                self._transact(write)
            return (written_by_process(THREAD_COUNTERS) or 0) - before

        written = await self._run(counted)
        self.written_bytes += written
        if is_full:
            self._written_by_save = written
        for part, _ in works:
            part.saved()

    def _thin(self, db: Transaction, parts: Sequence[HistoryPart], *, down_to: float = THINNED_SHARE) -> None:
        """Remove the oldest rows where the file is nearly as large as it may be, or larger than the share that is asked for."""
        if _used_bytes(db) < (FULL_SHARE if down_to == THINNED_SHARE else down_to) * self._most_bytes:
            return
        for part in reversed(parts):
            for _ in range(MOST_THINNINGS):
                if _used_bytes(db) < down_to * self._most_bytes:
                    return
                if not part.thin(db):
                    break

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreError("no history is kept: [store] history_mb is 0")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # in the thread of the file ----------------------------------------------------------------------------------------

    def _transact(self, work: Callable[[Transaction], T], *, may_need_room: bool = False) -> T:
        self._ensure_open()
        connection = self._connection
        if connection is None:
            raise StoreError(f"{self.path} is not open")
        try:
            result = in_transaction(connection, work)
        except SqliteError as error:
            if may_need_room and is_disk_failure(error) and self._is_half_full(connection):
                raise _NeedsRoom from error
            self._fail(error)
            raise StoreError(f"{self.path}: {error}") from error
        self._works_again()
        return result

    def _is_half_full(self, db: Transaction) -> bool:
        try:
            return _used_bytes(db) > HALF * self._most_bytes
        except SqliteError:
            return False

    def _ensure_open(self) -> None:
        """Open the file where it is not, and begin anew where it is gone or another one."""
        if self._connection is not None and _inode(self.path) != self._inode:
            self._told.append(f"{self.path} was removed or replaced while the gateway runs; what was observed before is lost")
            self._close()
        if self._connection is None:
            self._open()

    def _open(self) -> None:
        path = self.path
        try:
            if _inode(path) == (0, 0):
                self._begins_anew = True
            path.touch(mode=0o600)
            why, word = "", ""
            try:
                why, word = self._prepare(path)
            except SqliteError as error:
                if is_disk_failure(error) or is_busy(error):
                    raise
                why, word = f"is damaged: {error}", "damaged"
            if why:
                self._set_aside(path, why, word)
                path.touch(mode=0o600)
                self._prepare(path)
            self._inode = _inode(path)
        except (OSError, *SqliteError) as error:
            self._close()
            self._note_problem(str(error))
            raise StoreError(f"{path}: {error}") from error

    def _prepare(self, path: Path) -> tuple[str, str]:
        """Connect to the file and bring it to the newest schema; return why it cannot be used, and a word for its new name."""
        self._connection = db = connect(path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a power cut costs the last minutes, and never the file
        db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        version, application = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("user_version", "application_id"))
        if version > NEWEST_VERSION:
            return f"was written by a newer gateway (version {version}; this one knows {NEWEST_VERSION})", "newer"
        is_empty = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0
        if not is_empty and application != APPLICATION_ID:
            return "is no history file", "damaged"
        if version < NEWEST_VERSION:
            script = "\n".join(MIGRATIONS[version:])
            db.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {NEWEST_VERSION}; COMMIT;"
            )
        for table in TABLES:
            db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - a table of ours
        if _used_bytes(db) < db.execute("PRAGMA page_count").fetchone()[0] * PAGE_BYTES > self._most_bytes:
            db.execute("VACUUM")  # the bound was lowered, and a part of the file is unused
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute(f"PRAGMA max_page_count = {max(self._most_bytes // PAGE_BYTES, 64)}")
        return "", ""

    def _set_aside(self, path: Path, why: str, word: str) -> None:
        """Keep an unusable file under another name, in the place of an earlier one."""
        self._close()
        for former in path.parent.glob(f"{path.name}.{word}-*"):
            former.unlink(missing_ok=True)
        kept = path.with_name(f"{path.name}.{word}-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        path.rename(kept)
        for end in _SIDE_FILES:
            path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
        self._begins_anew = True
        self._told.append(f"{path} {why}. It is kept as {kept.name}, and begun anew; the gateway itself needs none of it")

    def _fail(self, error: Exception) -> None:
        if is_damage(error):
            self._note_problem(str(error))
            with contextlib.suppress(OSError):
                self._set_aside(self.path, f"is damaged: {error}", "damaged")
        else:
            self._note_problem(str(error))

    def _note_problem(self, problem: str) -> None:
        if self.problem is None:
            log.warning("history: what is observed is kept in memory only, and not over a restart: %s", problem)
        self.problem = problem

    def _works_again(self) -> None:
        if self.problem is not None:
            log.info("history: what is observed is kept again")
        self.problem = None

    def _close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*SqliteError):
                self._connection.close()
        self._connection = None

    def _tell_what_happened(self) -> None:
        while self._told:
            text = self._told.pop(0)
            log.warning("history: %s", text)
            self._tell(text)


class _NeedsRoom(Exception):
    """What is to be written does not fit into the bound."""


def _used_bytes(db: Transaction) -> int:
    pages, free = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
    return (pages - free) * PAGE_BYTES


def _inode(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
