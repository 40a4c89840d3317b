"""`xyte-gateway adapters`: list the installed adapters and their settings."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from gateway.cli.common import AsJson, out, print_json
from gateway.field.plugins import Plugin, installed


def adapters(*, as_json: AsJson = False) -> None:
    """List the installed adapters, and the settings of each with their meaning."""
    plugins = installed()
    if as_json:
        print_json([_described(plugin) for plugin in plugins.values()])
        return
    for plugin in plugins.values():
        title = f"[bold]{escape(plugin.name)}[/]  {escape(plugin.distribution)} {plugin.version}"
        if plugin.adapter is None:
            out.print(f"{title}  [red]cannot be used:[/] {escape(plugin.problem or '')}\n", soft_wrap=True)
            continue
        out.print(f"{title}  {escape(next(iter((plugin.adapter.__doc__ or '').splitlines()), ''))}", soft_wrap=True)
        table = Table("key", "meaning", box=None, padding=(0, 2))
        for name, field in plugin.adapter.settings_model.model_fields.items():
            table.add_row(f"{name}, required" if field.is_required() else name, escape(field.description or ""))
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
