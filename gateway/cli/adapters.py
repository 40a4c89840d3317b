"""`xyte-gateway adapters`: which adapters are installed, and what each can be told in the config."""

from __future__ import annotations

from rich.table import Table

from gateway.cli.common import AsJson, out, print_json
from gateway.field.plugins import Plugin, installed


def adapters(*, as_json: AsJson = False) -> None:
    """List the installed adapters, and what each can be told in the config."""
    plugins = installed()
    if as_json:
        print_json([_described(plugin) for plugin in plugins.values()])
        return
    for plugin in plugins.values():
        title = f"[bold]{plugin.name}[/]  {plugin.distribution} {plugin.version}"
        if plugin.adapter is None:
            out.print(f"{title}  [red]cannot be used:[/] {plugin.problem}\n")
            continue
        out.print(f"{title}  {(plugin.adapter.__doc__ or '').splitlines()[0]}")
        table = Table("key", "for", box=None, padding=(0, 2))
        for name, field in plugin.adapter.settings_model.model_fields.items():
            table.add_row(name, field.description or "")
        out.print(table, "")


def _described(plugin: Plugin) -> dict[str, object]:
    schema = plugin.adapter.settings_model.model_json_schema() if plugin.adapter else None
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "problem": plugin.problem,
        "settings": schema,
    }
