"""Read from the history file, also beside a running gateway, whether each child answered when it was last saved."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gateway.state.database.sqlite import SqliteError, connect_reader
from gateway.state.history.history_file import history_file
from gateway.state.history.observed_children import ObservedState, read_states


def saved_states(store: Path) -> dict[str, ObservedState]:
    """Return the state of each child by its key, at most some minutes old; nothing without a readable history file.

    Args:
        store: the store beside which the history file is.
    """
    try:
        with closing(connect_reader(history_file(store))) as db:
            return read_states(db)
    except (OSError, *SqliteError):
        return {}
