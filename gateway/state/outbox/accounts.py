"""Keep the account of each child's samples: produced = delivered + lost + waiting, at any moment.

Triggers of the schema count what goes into the table `outbox` and out of it, in the same transaction.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gateway.state.store import Transaction

ROW_BYTES = "COALESCE(LENGTH(CAST(payload AS BLOB)) + 2 * LENGTH(child), 0) + 64"
"""What a sample takes up in the store, about: its row, and its entry in the index. The triggers have the same formula."""

UNKNOWN_CHILD = "unknown"
"""The child of an account or record whose own is damaged."""

MOST_ACCOUNTS = 20_000
"""Beyond it, the accounts of children that are gone are summed up."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the samples of one child, since the store has its present schema."""

    child: str
    """Empty for the sum of children that are gone."""
    produced: int
    delivered: int
    lost: int
    waiting: int
    bytes: int
    """What those that wait take up in the store, about."""

    @property
    def is_balanced(self) -> bool:
        """Whether nothing is missing."""
        return self.produced == self.delivered + self.lost + self.waiting


@dataclass(frozen=True, slots=True)
class Totals:
    """The sum of all accounts."""

    waiting: int = 0
    lost: int = 0
    bytes: int = 0
    children: int = 0
    """How many children have samples that wait."""


def read_accounts(db: Transaction) -> list[Account]:
    """Return the accounts of all children; they hold for the moment of the transaction."""
    query = "SELECT child, produced, delivered, lost, waiting, bytes FROM outbox_accounts ORDER BY child"
    return [
        Account(child if isinstance(child, str) else UNKNOWN_CHILD, *map(int, numbers)) for child, *numbers in db.execute(query)
    ]


def mend_accounts(db: Transaction) -> None:
    """Count anew where the store is damaged: what waits is counted in the outbox, and what is not known any more is 0."""
    numbers = ("produced", "delivered", "lost", "waiting", "bytes")
    damage = " OR ".join(
        [
            "typeof(child) != 'text'",
            "(waiting = 0 AND bytes != 0)",
            *(f"typeof({name}) != 'integer' OR {name} < 0" for name in numbers),
        ]
    )
    rows = db.execute(f"SELECT rowid, child, delivered, lost FROM outbox_accounts WHERE {damage}").fetchall()  # noqa: S608 - our columns
    for rowid, child, delivered, lost in rows:
        waiting, size = db.execute(f"SELECT COUNT(*), TOTAL({ROW_BYTES}) FROM outbox WHERE child = ?", (child,)).fetchone()  # noqa: S608 - ours
        known = [number if isinstance(number, int) and number >= 0 else 0 for number in (delivered, lost)]
        db.execute("DELETE FROM outbox_accounts WHERE rowid = ?", (rowid,))
        db.execute(
            "INSERT INTO outbox_accounts (child, produced, delivered, lost, waiting, bytes) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (child if isinstance(child, str) else UNKNOWN_CHILD, sum(known) + waiting, *known, waiting, int(size)),
        )
        log.error("store: the account of the samples of %s was damaged; it is counted anew", child)


def read_totals(db: Transaction) -> Totals:
    """Return the sum of all accounts: a row for each child, not for each sample."""
    query = "SELECT TOTAL(waiting), TOTAL(lost), TOTAL(bytes), COUNT(*) FILTER (WHERE waiting > 0) FROM outbox_accounts"
    return Totals(*map(int, db.execute(query).fetchone()))


def add_to_account(db: Transaction, child: object, *, produced: int = 0, delivered: int = 0, lost: int = 0) -> None:
    """Count samples in the account of a child."""
    db.execute(
        "INSERT INTO outbox_accounts (child, produced, delivered, lost) VALUES (CAST(? AS TEXT), ?, ?, ?)"
        " ON CONFLICT (child) DO UPDATE SET produced = produced + excluded.produced,"
        " delivered = delivered + excluded.delivered, lost = lost + excluded.lost",
        (child, produced, delivered, lost),
    )


def recount(db: Transaction) -> None:
    """Count anew what waits, in the whole outbox: the rows and the accounts do not agree, so the store is damaged."""
    db.execute("UPDATE outbox_accounts SET waiting = 0, bytes = 0")
    db.execute(
        "INSERT INTO outbox_accounts (child, waiting, bytes)"  # noqa: S608 - our own text
        f" SELECT child, COUNT(*), SUM({ROW_BYTES}) FROM outbox WHERE child IS NOT NULL GROUP BY child"
        " ON CONFLICT (child) DO UPDATE SET waiting = excluded.waiting, bytes = excluded.bytes"
    )
    db.execute("UPDATE outbox_accounts SET produced = delivered + lost + waiting")
    log.error("store: the accounts of the samples did not agree with the outbox; what waits was counted anew")


def sum_up_accounts(db: Transaction) -> None:
    """Sum up the accounts of children that are gone, where there are too many accounts."""
    if db.execute("SELECT COUNT(*) FROM outbox_accounts").fetchone()[0] <= MOST_ACCOUNTS:
        return
    gone = "FROM outbox_accounts WHERE waiting = 0 AND child NOT IN (SELECT key FROM children)"
    produced, delivered, lost = db.execute(f"SELECT TOTAL(produced), TOTAL(delivered), TOTAL(lost) {gone}").fetchone()
    db.execute(f"DELETE {gone}")
    add_to_account(db, "", produced=int(produced), delivered=int(delivered), lost=int(lost))
