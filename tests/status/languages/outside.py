"""Find sentences that stand outside of the catalogue: in a template beside its marks, or in the source of the page."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser

from extraction import ENVIRONMENT, FUNCTIONS
from jinja2 import nodes

LETTER = re.compile(r"[^\W\d_]")
UNTRANSLATED = frozenset(
    {"API", "CSV", "UTC", "JSON", "TLS", "VPN", "URL", "QR", "min", "max", "kB", "MB", "GB", "h", "s", "°C", "°F"}
)
"""Words that are the same in each language."""
NO_WORD = re.compile(r"[0-9=&_]")
"""What has one of these is written for programs."""
ATTRIBUTE = re.compile(r"\s*aria-[a-z]+=")
"""Begins attributes that a template puts together before it uses them."""
SPOKEN_ATTRIBUTES = frozenset({"alt", "aria-label", "aria-description", "placeholder", "title", "label", "summary"})
SENTENCE = re.compile(r"[^\W\d_]{2,},? [^\W\d_]|^[A-Z][a-z]{2,}[.!?:]?$")
"""Two words, or one with a capital letter: what is written for people rather than for a program."""
SILENT_ELEMENTS = frozenset({"code", "pre", "script", "style", "kbd", "samp"})
FOR_PROGRAMS = frozenset({"debug", "info", "warning", "error", "exception", "log"})
"""Methods of a logger."""


def outside_in_template(source: str) -> list[str]:
    tree = ENVIRONMENT.parse(source)
    found = _Texts()
    found.feed("".join(_flat(tree)))
    found.close()
    return found.outside + _constants(tree)


def outside_in_source(source: str) -> list[str]:
    tree = ast.parse(source)
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            inside |= {id(one.value) for one in node.body if isinstance(one, ast.Expr)}
        elif isinstance(node, (ast.Raise, ast.Assert)) or (isinstance(node, ast.Call) and _is_no_text(node.func)):
            inside |= {id(one) for one in ast.walk(node)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node.value for node in texts if id(node) not in inside and SENTENCE.search(node.value) is not None]


def _is_no_text(function: ast.expr) -> bool:
    """Whether what a function is called with is translated, or read by programs alone."""
    if isinstance(function, ast.Name):
        return function.id in (*FUNCTIONS, "getLogger", "RequestKey")
    is_log = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in ("log", "re")
    return is_log or (isinstance(function, ast.Attribute) and function.attr in FOR_PROGRAMS)


class _Texts(HTMLParser):
    """Collects what a person reads or hears of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag, attrs):
        self._silent += tag in SILENT_ELEMENTS
        for name, value in attrs:
            if value and (name in SPOKEN_ATTRIBUTES or (name.startswith("data-") and SENTENCE.search(value))):
                self._take(value)

    def handle_endtag(self, tag):
        self._silent -= tag in SILENT_ELEMENTS

    def handle_data(self, data):
        if not self._silent:
            self._take(data)

    def _take(self, text):
        words = [word.strip(".,:;!?()") for word in re.split(r"[\s\0/·]+", text) if NO_WORD.search(word) is None]
        if any(LETTER.search(word) and word not in UNTRANSLATED for word in words) and not ATTRIBUTE.match(text):
            self.outside.append(" ".join(text.replace("\0", "…").split()))


def _flat(node: nodes.Node):
    """Return the text of a template with each branch of it, and a mark in the place of each expression."""
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Expr):
        yield "\0"
    else:
        for child in node.iter_child_nodes():
            if not isinstance(child, nodes.Expr) or isinstance(node, nodes.Output):
                yield from _flat(child)


def _constants(node: nodes.Node) -> list[str]:
    """Return the sentences in the expressions of a template."""
    if isinstance(node, nodes.Compare) or (isinstance(node, nodes.Call) and _is_marked(node)):
        return []
    if isinstance(node, nodes.Const):
        return [node.value] if isinstance(node.value, str) and SENTENCE.search(node.value) else []
    return [text for child in node.iter_child_nodes() for text in _constants(child)]


def _is_marked(call: nodes.Call) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name in FUNCTIONS
