"""Templates to HTML: the only file that knows the library of templates. Nothing here waits.

Whatever is put into a template is escaped, unless it was made by one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.models import NAME_LENGTH, FindingState
from gateway.state.records import Decision
from gateway.status.doctor_cache import Findings
from gateway.status.render import formatting
from gateway.status.render.assets import Asset
from gateway.status.snapshot import Standing

FOLDER: Final = Path(__file__).parents[1] / "templates"


FINDING_MARKS: Final = {
    FindingState.FAULT: "refused",
    FindingState.WARNING: "unregistered",
    FindingState.FINE: "fine",
    FindingState.NOT_LOOKED_AT: "deleted",
}
"""The sign and colour of each, which are those of children that stand like this; what needs a person first."""


class Documents:
    """Makes HTML by the name of its template."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(str(FOLDER)),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "moment": formatting.moment,
            "share": formatting.share,
            "number": formatting.number,
            "spark": formatting.spark,
            "count": formatting.count,
        }
        self._templates.globals |= {
            "asset": lambda name: assets[name].address,
            "standing_words": formatting.STANDING_WORDS,
            "Standing": Standing,
            "Decision": Decision,
            "name_length": NAME_LENGTH,
            "spark_width": formatting.SPARK_WIDTH,
            "spark_height": formatting.SPARK_HEIGHT,
        }

    def render(self, template: str, **shown: object) -> str:
        """Return what this template makes of what is to be shown."""
        return self._templates.get_template(template).render(**shown)

    def message(self, title: str, text: str, *, links: Mapping[str, str] | None = None) -> str:
        """Return a document that says one thing."""
        return self.render("message.html", title=title, text=text, links=links if links is not None else {"To the overview": "/"})

    def findings(self, found: Findings) -> str:
        """Return what `doctor` found as a part of a document, faults first."""
        order = list(FINDING_MARKS)
        return self.render(
            "_doctor_report.html",
            faults=found.count(FindingState.FAULT),
            warnings=found.count(FindingState.WARNING),
            at=found.at,
            findings=sorted(found.findings, key=lambda finding: order.index(finding.state)),
            marks=FINDING_MARKS,
        )

    def login(self, *, then: str, problem: str | None = None) -> str:
        """Return the form that asks for the token."""
        return self.render("login.html", then=then, problem=problem)
