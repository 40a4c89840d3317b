"""Every address of the page declares the right that it needs, and only that decides."""

import pytest
from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.openapi import OPERATIONS, openapi
from gateway.status.rights import Rights, Visitor
from gateway.status.setup_server import SetupServer

FORMS = {
    "/waiting/x/admit": Rights.OPERATE,
    "/waiting/x/ignore": Rights.OPERATE,
    "/waiting/x/name": Rights.OPERATE,
    "/children/x/name": Rights.OPERATE,
    "/buses/x/rescan": Rights.OPERATE,
    "/identity/keep": Rights.ADMINISTER,
    "/identity/new": Rights.ADMINISTER,
}
pytestmark = pytest.mark.enable_socket

PUBLIC = {"/login", "/logout", "/language", "/healthz", "/static/{version}/{name}"}


def undeclared(server):
    return [route for route in server._application.router.routes() if server._routes.needs_of(route) is None]


async def test_every_route_of_the_page_declares_what_it_needs(page, serve, view):
    assert undeclared(page.server) == []
    assert undeclared(SetupServer(view, page.auth, page.server._endpoint)) == []
    routes = page.server._application.router.routes()
    public = {one.resource.canonical for one in routes if page.server._routes.needs_of(one) is Rights.NONE}
    assert public == PUBLIC
    for one in routes:
        if one.method not in ("GET", "HEAD") and one.resource.canonical not in PUBLIC:
            assert page.server._routes.needs_of(one) >= Rights.OPERATE, one


async def forgotten(request):
    return web.Response(text="done")


async def test_a_route_without_a_declaration_answers_nobody(page):
    router = page.server._application.router
    router._frozen = False
    router.add_post("/forgotten", forgotten)
    async with page.http.post("/forgotten", headers=page.bearer) as answer:
        assert answer.status == 500


@pytest.mark.parametrize("rights", Rights)
async def test_an_action_is_done_for_those_whose_rights_suffice_and_refused_to_all_others(page, monkeypatch, rights):
    monkeypatch.setattr(page.auth, "visitor_of", lambda access: Visitor(rights, "of this test"))
    needed = FORMS | {one.path.replace("{id}", "x"): one.needs for one in OPERATIONS if one.method == "POST"}
    for path, needs in needed.items():
        before = list(page.view.done)
        async with page.http.post(path, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False) as answer:
            assert (answer.status == 403) is (rights < needs), path
            if rights < needs:
                assert "token" in await answer.text()
                assert page.view.done == before


async def test_the_page_shows_a_visitor_no_action_beyond_their_rights(page, monkeypatch):
    classes = {}
    for rights in (Rights.LOOK, Rights.OPERATE, Rights.ADMINISTER):
        monkeypatch.setattr(page.auth, "visitor_of", lambda access, rights=rights: Visitor(rights))
        async with page.http.get("/waiting") as answer:
            text = await answer.text()
        classes[rights] = text.partition("<body")[2].partition(">")[0].partition('class="')[2].partition('"')[0]
    assert classes == {
        Rights.LOOK: "visitor no-administrator",
        Rights.OPERATE: "no-administrator",
        Rights.ADMINISTER: "",
    }


def test_the_document_of_the_api_says_which_token_each_operation_needs():
    paths = openapi()["paths"]
    texts = {one.name: paths[one.path][one.method.lower()]["description"] for one in OPERATIONS}
    assert "may administer" in texts["keep_identity"]
    assert "operate or administer" in texts["admit"]
    assert "Any token" in texts["overview"]


def test_a_declaration_cannot_be_left_out():
    with pytest.raises(TypeError):
        DeclaredRoute("GET", "/", forgotten)
