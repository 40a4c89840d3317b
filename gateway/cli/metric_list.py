"""`xyte-gateway schema metrics`: the vocabulary of metrics, for authors of profiles."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from gateway.cli.common import AsJson, out, print_json
from gateway.metrics.vocabulary import PARTS, QUALIFIERS, vocabulary


def show_metrics(*, as_json: AsJson = False) -> None:
    """List the metrics by which profiles name what devices measure, with their units and meanings.

    A name may have qualifiers behind it (`voltage_l1`) and a part of the device before it (`battery_voltage`): --json names them.
    """
    entries = vocabulary().entries
    if as_json:
        metrics = [{"name": name, **entry.model_dump(mode="json")} for name, entry in entries.items()]
        print_json({"metrics": metrics, "qualifiers": list(QUALIFIERS), "parts": list(PARTS)})
        return
    table = Table("metric", "unit", "meaning", box=None, padding=(0, 2, 0, 0))
    for name, entry in entries.items():
        about = f"{entry.about}; {entry.sign}" if entry.sign else entry.about
        table.add_row(escape(name), escape(entry.unit or ", ".join(entry.other_units)), escape(about))
    out.print(table)
