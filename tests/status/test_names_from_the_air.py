"""Device names come from the air: whatever they hold, a page shows it as text."""

import asyncio
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, nodes

from gateway.causes import Reason
from gateway.models import Metric, Reach, Reading
from gateway.status.history import History
from gateway.status.model import encode_id
from gateway.status.render.assets import load_assets
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.paging import ListQuery
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.render.templates import FOLDER, Templates
from gateway.status.rights import Rights, Visitor

NASTY = st.one_of(
    st.text(st.characters(), min_size=1, max_size=60),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "' onmouseover='alert(1)",
            "</time></li></ul><h1>x",
            "{{ 7 * 7 }}",
            "{% raw %}",
            "javascript:alert(1)",
            "<!--",
            "]]>",
            "&lt;b&gt;",
            "\u202etxt.exe",
            "\x00\x1b[2J",
            "\ud800",
            "<svg/onload=alert(1)>",
            "\u2028alert(1)",
            "a" * 5000,
        ]
    ),
)


DRAWN = {"svg", "title", "rect", "polyline", "line", "path", "g"}
DRAWN_BY = {
    "class",
    "viewbox",
    "role",
    "aria-label",
    "aria-hidden",
    "x",
    "y",
    "x1",
    "x2",
    "y1",
    "y2",
    "width",
    "height",
    "points",
    "d",
}


class Skeleton(HTMLParser):
    """The elements and attributes of a page without its texts, and the texts apart."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        names = tuple(name for name, _ in attrs)
        if tag not in DRAWN or not DRAWN_BY.issuperset(names):  # a value over time is drawn once its half minute is over
            self.tags.append((tag, names))

    def handle_data(self, data):
        self.texts.append(data)


def all_pages(fake, name):
    """Every page of a gateway in which everything that can come from outside is this text."""
    view = fake.FakeView()
    view.history = History()
    bus = view.add_bus("bus", problem=name)
    child = view.add_child(
        name,
        "bus",
        key="key",
        found_as=name,
        address=name,
        reach=Reach.SILENT,
        why=name,
        kind=name,
        manufacturer=name,
        model=name,
        serial_number=name,
        mac=name,
        firmware_version=name,
        sub_model=name,
        profile=name,
        family=name,
        model_id=name,
        device_id=name,
        remarks=(name,),
        evidence={name: name},
        identity_kind=name,
    )
    view.add_waiting(
        name,
        "bus",
        key="other",
        found_as=name,
        address=name,
        why=name,
        profile=name,
        family=name,
        model_id=name,
        sub_model=name,
        manufacturer=name,
        model=name,
        serial_number=name,
        mac=name,
        firmware_version=name,
        evidence={name: name},
        says={name: name},
    )
    view.gateway = view.gateway.model_copy(update={"name": child.line.name, "problem": child.line.name})
    view.history.take([Reading("key", Metric(f"m {name}", name), name, fake.now())])
    view.history.missed("key", Reason(name))
    view.history.changed("key", Reach.SILENT, fake.now(), name)
    snapshot = asyncio.run(view.snapshot())
    documents = Templates(load_assets())
    made = PageRenderer(documents, view.history, view.child)
    topics = (
        PageAddress("overview", query=ListQuery(show="trouble")),
        PageAddress("buses", bus.id),
        PageAddress("children", encode_id("key")),
        PageAddress("waiting"),
    )
    for topic in topics:
        page = made.page(topic, snapshot)
        yield made.document(topic, page, snapshot, visitor=Visitor(Rights.ADMINISTER, "anna"), path="/")
    yield documents.message(child.line.name, child.line.name)
    yield documents.login(SignInHelp(gateway=child.line.name, command=child.line.name), then=child.line.name)


@pytest.fixture(scope="module")
def harmless():
    return {}


@given(name=NASTY)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_adds_an_element_or_an_attribute_to_any_page(fake, harmless, name):
    if not harmless:
        harmless["pages"] = [Skeleton(html).tags for html in all_pages(fake, "Meter")]
    for html, tags in zip(all_pages(fake, name), harmless["pages"], strict=True):
        html.encode()
        assert Skeleton(html).tags == tags


def test_a_name_with_tags_is_read_as_it_is(fake):
    name = '<b>Boiler</b> & "Sons"'
    for html in all_pages(fake, name):
        assert name in "".join(Skeleton(html).texts) or "Sign in" in html


def test_no_template_marks_anything_as_safe():
    loader = FileSystemLoader(str(FOLDER))
    environment = Environment(loader=loader, autoescape=True, extensions=["jinja2.ext.i18n"])
    environment.newstyle_gettext = True
    names = loader.list_templates()
    assert len(names) > 12
    for name in names:
        tree = environment.parse(loader.get_source(environment, name)[0])
        assert not [found for found in tree.find_all(nodes.Filter) if found.name == "safe"]
        assert not list(tree.find_all((nodes.MarkSafe, nodes.ScopedEvalContextModifier)))
