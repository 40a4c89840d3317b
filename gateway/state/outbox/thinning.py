"""Make room in the outbox: halve the resolution of the oldest samples, child by child."""

from __future__ import annotations

from gateway.state.outbox.losses import THINNED, count_loss
from gateway.state.store import Transaction


def thin(db: Transaction, surplus: int) -> int:
    """Drop at least `surplus` samples and return how many were dropped."""
    middle = db.execute(
        "SELECT seq FROM outbox ORDER BY seq LIMIT 1 OFFSET (SELECT COUNT(*) / 2 FROM outbox)"
    ).fetchone()[0]  # fmt: skip
    every_second = (
        "SELECT seq FROM (SELECT seq, ROW_NUMBER() OVER (PARTITION BY child ORDER BY seq) AS place FROM outbox WHERE seq < ?)"
        " WHERE place % 2 = 0"
    )
    lost = _drop_selected(db, every_second, middle)
    if lost < surplus:
        lost += _drop_selected(db, "SELECT seq FROM outbox ORDER BY seq LIMIT ?", surplus - lost)
    return lost


def _drop_selected(db: Transaction, selection: str, argument: int) -> int:
    groups = db.execute(
        f"SELECT child, MIN(at), MAX(at), COUNT(*) FROM outbox WHERE seq IN ({selection}) GROUP BY child",  # noqa: S608 - our own text
        (argument,),
    ).fetchall()
    for child, first, last, samples in groups:
        count_loss(db, child, THINNED, first, last, samples)
    return db.execute(f"DELETE FROM outbox WHERE seq IN ({selection})", (argument,)).rowcount  # noqa: S608 - our own text
