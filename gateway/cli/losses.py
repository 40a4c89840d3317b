"""`xyte-gateway losses`: what became of the samples of each device, and which will never arrive, with the reason."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from gateway.cli.common import AsJson, CommandFailed, ConfigFile, errors_shown, load_config, out, print_json
from gateway.config.settings import DEFAULT_FILE
from gateway.state.outbox import Account, Loss, read_accounts, read_losses
from gateway.state.store import Transaction, read_store


def losses(config: ConfigFile = DEFAULT_FILE, *, as_json: AsJson = False) -> None:
    """Show what became of the samples of each device: delivered, lost with the reason, or waiting."""
    with errors_shown(as_json=as_json):
        accounts, lost = read_store(_store_path(config), _read)
    if as_json:
        print_json(
            {
                "accounts": [
                    {
                        "key": one.child, "produced": one.produced, "delivered": one.delivered, "lost": one.lost,
                        "waiting": one.waiting, "bytes": one.bytes,
                    }
                    for one in accounts
                ],
                "losses": [
                    {
                        "key": one.child, "why": one.why, "first_at": one.first_at.isoformat(),
                        "last_at": one.last_at.isoformat(), "samples": one.samples,
                    }
                    for one in lost
                ],
            }
        )  # fmt: skip
        return
    _show(accounts, lost)


def _show(accounts: list[Account], lost: list[Loss]) -> None:
    table = Table("key", "produced", "delivered", "lost", "waiting", box=None, padding=(0, 2, 0, 0))
    for account in accounts:
        numbers = (account.produced, account.delivered, account.lost, account.waiting)
        table.add_row(escape(account.child or "(former devices)"), *map(str, numbers))
    out.print(table)
    for one in lost:
        period = f"{one.first_at:%Y-%m-%d %H:%M:%S} to {one.last_at:%Y-%m-%d %H:%M:%S} UTC"
        out.print(f"{one.child or '(former devices)'}: {one.samples} lost, {period}: {one.why}", markup=False, soft_wrap=True)
    if not lost:
        out.print("no sample was lost", markup=False)


def _read(db: Transaction) -> tuple[list[Account], list[Loss]]:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox_accounts'").fetchone():
        raise CommandFailed("the store is from an older version: start the gateway once, which brings it up to date")
    return read_accounts(db), read_losses(db)


def _store_path(config: Path) -> Path:
    configuration, _ = load_config(config, for_cloud=False)
    path = configuration.settings.store.path
    if not path.exists():
        raise CommandFailed(f"there is no store at {path}: the gateway has not run with this configuration yet")
    return path
