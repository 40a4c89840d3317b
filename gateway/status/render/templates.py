"""Render the Jinja templates; the only file that imports Jinja. Pure.

Everything that is put into a template is escaped, except HTML that another template made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from gateway import __version__
from gateway.models import NAME_LENGTH, FindingState
from gateway.profiles.parameters import title_of
from gateway.state.records import Decision
from gateway.status.cloud_activity import CommandState
from gateway.status.doctor_cache import DoctorReport
from gateway.status.languages.catalogue import FOLDER as CATALOGUES
from gateway.status.languages.language import NAMES
from gateway.status.languages.texts import current_language, decimal, gettext, gettext_noop, localized, written
from gateway.status.logs_view import LEVELS, PARTS, part_of
from gateway.status.render import formatting
from gateway.status.render.assets import Asset
from gateway.status.render.chart_texts import chart_titles, table_points
from gateway.status.render.events import KIND_TEXTS
from gateway.status.render.key_titles import key_title
from gateway.status.render.logs import LEVEL_MARKS, LEVEL_TEXTS
from gateway.status.render.metric_texts import metric_title
from gateway.status.render.metric_titles import localized_title
from gateway.status.render.several_texts import SEVERAL_ACTIONS, SEVERAL_TEXTS
from gateway.status.render.shown_values import shown_value
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.several import short_word
from gateway.status.snapshot import ChildStatus

FOLDER: Final = Path(__file__).parents[1] / "templates"


FINDING_MARKS: Final = {
    FindingState.FAULT: "refused",
    FindingState.WARNING: "unregistered",
    FindingState.FINE: "fine",
    FindingState.NOT_LOOKED_AT: "deleted",
}
"""The CSS class of each state, shared with the child status of the same urgency; the most urgent first."""

FINDING_TEXTS: Final = {
    FindingState.FAULT: gettext_noop("fault"),
    FindingState.WARNING: gettext_noop("warning"),
    FindingState.FINE: gettext_noop("fine"),
    FindingState.NOT_LOOKED_AT: gettext_noop("not looked at"),
}


COMMAND_MARKS: Final = {
    CommandState.WAITING: "unasked",
    CommandState.RUNNING: "unasked",
    CommandState.DONE: "fine",
    CommandState.FAILED: "refused",
    CommandState.UNKNOWN: "silent",
}
LICENCE_MARKS: Final = {"in use": "fine", "pending": "unasked", "error": "refused", "expired": "unregistered"}
"""The CSS class of each state, shared with the child status of the same urgency."""


def edition_of(assets: Mapping[str, Asset]) -> str:
    """Return a hash of the version, the templates, the catalogues and the static files."""
    content = hashlib.blake2s(__version__.encode(), digest_size=6)
    for file in (*sorted(FOLDER.glob("*.html")), *sorted(CATALOGUES.glob("*.po"))):
        content.update(file.read_bytes())
    for asset in assets.values():
        content.update(asset.address.encode())
    return content.hexdigest()


class Templates:
    """The templates of the page, rendered by name."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._edition = edition_of(assets)
        self._environment = Environment(
            loader=FileSystemLoader(str(FOLDER)),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        self._environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the extension adds it
        self._environment.policies["ext.i18n.trimmed"] = True
        self._environment.filters |= {
            "moment": formatting.moment,
            "zone": formatting.zone,
            "precise": formatting.precise,
            "share": formatting.share,
            "duration": formatting.duration,
            "amount": formatting.amount,
            "years": formatting.years,
            "plain": formatting.plain,
            "sparkline": formatting.sparkline,
            "count": formatting.count,
            "decimal": decimal,
            "localized": localized_html,
            "localized_text": localized,
            "with_code": with_code,
            "points": table_points,
            "metric_title": shown_title,
            "title_of": title_of,
            "key_title": key_title,
            "short_word": short_word,
        }
        self._environment.globals |= {
            "_": _gettext,
            "gettext": _gettext,
            "ngettext": _ngettext,
            "pgettext": _pgettext,
            "language": lambda: current_language().code,
            "languages": NAMES,
            "chart_titles": chart_titles,
            "edition": lambda: self.edition,
            "log_levels": LEVELS,
            "log_parts": PARTS,
            "log_level_marks": LEVEL_MARKS,
            "level_texts": LEVEL_TEXTS,
            "log_part_of": part_of,
            "asset": lambda name: assets[name].address,
            "shown_value": shown_value,
            "status_texts": formatting.STATUS_TEXTS,
            "role_texts": formatting.ROLE_TEXTS,
            "confidence_texts": formatting.CONFIDENCE_TEXTS,
            "command_texts": formatting.COMMAND_TEXTS,
            "command_marks": COMMAND_MARKS,
            "licence_marks": LICENCE_MARKS,
            "kind_texts": KIND_TEXTS,
            "ChildStatus": ChildStatus,
            "Decision": Decision,
            "name_length": NAME_LENGTH,
            "zip": zip,
            "several_texts": SEVERAL_TEXTS,
            "several_actions": SEVERAL_ACTIONS,
            "sparkline_width": formatting.SPARKLINE_WIDTH,
            "sparkline_height": formatting.SPARKLINE_HEIGHT,
        }

    @property
    def edition(self) -> str:
        """The edition in the language of the reader: an open page of another one is loaded again."""
        return f"{self._edition}-{current_language().code}"

    def render(self, template: str, **values: object) -> str:
        """Return a template with these values filled in, in the language of the reader (`gateway.status.languages.texts`)."""
        return self._environment.get_template(template).render(**values)

    def macro(self, template: str, name: str) -> Callable[..., str]:
        """Return a macro of a template, as a function."""
        found: Callable[..., str] = getattr(self._environment.get_template(template).module, name)
        return found

    def message(self, title: str, text: str, *, links: Mapping[str, str] | None = None) -> str:
        """Return a document with one message and links."""
        links = links if links is not None else {gettext("To the overview"): "/"}
        return self.render("message.html", title=title, text=text, links=links)

    def doctor_report(self, report: DoctorReport) -> str:
        """Return the findings of `doctor` as a part of a document, faults first."""
        order = list(FINDING_MARKS)
        return self.render(
            "_doctor_report.html",
            faults=report.count(FindingState.FAULT),
            warnings=report.count(FindingState.WARNING),
            at=report.at,
            findings=sorted(report.findings, key=lambda finding: order.index(finding.state)),
            marks=FINDING_MARKS,
            finding_texts=FINDING_TEXTS,
        )

    def login(self, sign_in_help: SignInHelp, *, then: str, problem: str | None = None) -> str:
        """Return the form for the token."""
        return self.render("login.html", help=sign_in_help, then=then, problem=problem)


def shown_title(name: str, title: str | None = None, unit: str | None = "any") -> str:
    """Return what a person calls a metric or a family; a metric without a unit has another title in some languages."""
    return localized_title(metric_title(name, title), has_unit=bool(unit))


def localized_html(sentence: str) -> Markup:
    """Return a sentence that another part of the gateway has made; one that stays English says so."""
    language = current_language()
    if language.is_source:
        return escape(sentence)
    found = language.sentences.find(sentence)
    return Markup('<span lang="en">{}</span>').format(sentence) if found is None else escape(found)


def _gettext(text: str, /, **values: object) -> Markup:
    """Return a text of a template, as HTML in which the values are escaped."""
    return _filled(current_language().translations.gettext(text), values)


def _ngettext(one: str, many: str, number: int, /, **values: object) -> Markup:
    return _filled(current_language().translations.ngettext(one, many, number), {"n": number, **values})


def _pgettext(context: str, text: str, /, **values: object) -> Markup:
    return _filled(current_language().translations.pgettext(context, text), values)


def _filled(text: str, values: Mapping[str, object]) -> Markup:
    html = Markup(text)  # noqa: S704 - a text of ours, or its translation in our catalogue
    return html % {name: written(value) for name, value in values.items()} if "%" in text else html


def with_code(text: str) -> Markup:
    """Return a text as HTML in which what stands between two backticks is shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner stands for itself
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )
