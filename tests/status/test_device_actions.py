"""The pages on which a person acts on devices: who may, what is refused, and what a list of several does."""

import pytest

from gateway.models import Reach
from gateway.status.model import encode_id
from gateway.status.several import MOST_AT_ONCE, short_word

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
UNIT = "mac:unit 44"
XIAOMI = "mac:LYWSD03MMC 6A11"
GUID = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
HERE = {"Sec-Fetch-Site": "same-origin"}


async def get(page, path, **headers):
    async with page.http.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def post(page, path, *, headers=None, **form):
    headers = page.bearer | HERE if headers is None else headers
    async with page.http.post(path, data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


ADDRESSES = (
    (f"/devices/{encode_id(METER)}/look", {"kind": "read"}),
    (f"/children/{encode_id(METER)}/retire", {"in_cloud": "keep"}),
    (f"/children/{encode_id(METER)}/replace", {"successor": encode_id(UNIT)}),
    (f"/waiting/{encode_id(UNIT)}/admit-as", {"model_id": GUID}),
    ("/several/children", {"action": "read", "chosen": short_word(METER)}),
)


@pytest.mark.parametrize(("path", "form"), ADDRESSES)
async def test_nothing_is_done_without_a_token_or_for_another_site(page, view, path, form):
    assert (await post(page, path, headers=HERE, **form))[0] == 403
    assert (await post(page, path, headers=page.bearer | {"Sec-Fetch-Site": "cross-site"}, **form))[0] == 403
    assert view.done == []
    assert (await post(page, path, **form))[0] == 303
    assert len(view.done) == 1


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        (f"/devices/{encode_id(METER)}/look", {"kind": "explode"}, 400),
        (f"/devices/{encode_id('sn:nobody')}/look", {"kind": "read"}, 404),
        ("/devices/!!/look", {"kind": "read"}, 404),
        (f"/children/{encode_id(METER)}/retire", {}, 400),
        (f"/children/{encode_id(METER)}/retire", {"in_cloud": "perhaps"}, 400),
        (f"/children/{encode_id('sn:nobody')}/retire", {"in_cloud": "keep"}, 404),
        (f"/children/{encode_id(METER)}/replace", {"successor": "!!"}, 409),
        (f"/waiting/{encode_id(UNIT)}/admit-as", {"model_id": "not-a-guid"}, 422),
        (f"/waiting/{encode_id('sn:nobody')}/admit-as", {"model_id": GUID}, 409),
        ("/several/children", {"action": "admit", "chosen": short_word(METER)}, 400),
        ("/several/children", {"action": "explode", "chosen": short_word(METER)}, 400),
        ("/several/children", {"action": "read"}, 422),
        ("/several/children", {"action": "read", "chosen": "ffffffffffffffff"}, 422),
        ("/several/nothing", {"action": "read"}, 404),
    ],
)
async def test_a_wrong_request_is_told_as_such_and_does_nothing(page, view, path, form, status):
    assert (await post(page, path, **form))[0] == status
    assert view.done == []


async def test_a_page_of_a_device_or_a_result_that_is_not_there_is_not_found(page):
    for path in (
        f"/devices/{encode_id('sn:nobody')}/look",
        f"/children/{encode_id('sn:nobody')}/retire",
        f"/children/{encode_id(METER)}/explode",
        "/several/result/nothing",
    ):
        assert (await get(page, path))[0] == 404, path


async def test_a_device_without_a_model_is_not_admitted_until_it_has_one(page, view):
    _, html = await get(page, "/waiting", **page.bearer)
    assert '<button type="button" disabled aria-describedby' in html
    assert "It has no Xyte model" in html
    status, where = await post(page, f"/waiting/{encode_id(UNIT)}/admit-as", model_id=GUID, then="/waiting?page=1")
    assert (status, where) == (303, "/waiting?page=1")
    assert view.done == [("admit", UNIT)]


async def test_several_are_admitted_with_a_model_for_those_that_lack_one(page, view):
    words = [short_word(XIAOMI), short_word(UNIT), "ffffffffffffffff"]
    status, where = await post(page, "/several/waiting", action="admit", chosen=words, model_id=GUID)
    assert status == 303
    _, html = await get(page, where)
    assert "2 of 2 done" in html
    status, where = await post(page, "/several/waiting", action="admit", chosen=[short_word("mac:Neighbour's watch")])
    _, html = await get(page, where)
    assert "0 of 1 done" in html
    assert "no Xyte model for it" in html


async def test_a_hundred_children_with_long_names_fit_into_one_request(page, view):
    for number in range(MOST_AT_ONCE + 20):
        view.add_child(f"Meter {number} <b>‮" + "x" * 250, "hci0", key=f"sn:acme/{'y' * 200}{number}", reach=Reach.REACHABLE)
    keys = [f"sn:acme/{'y' * 200}{number}" for number in range(MOST_AT_ONCE)]
    status, where = await post(page, "/several/children", action="identify", chosen=[short_word(key) for key in keys])
    assert status == 303
    assert len([done for done in view.done if done[0] == "look"]) == MOST_AT_ONCE
    _, html = await get(page, where)
    assert "<b>‮" not in html
    _, html = await get(page, "/several/children", **page.bearer)
    assert html.count('name="chosen"') == MOST_AT_ONCE


async def test_the_api_names_each_problem_with_its_status(page, view):
    base = "/api/v1"
    for path, body, status in (
        (f"devices/{encode_id(METER)}/look", {"kind": "read", "wait_seconds": 0}, 200),
        (f"devices/{encode_id(METER)}/look", {"kind": "explode"}, 400),
        (f"devices/{encode_id('sn:nobody')}/look", {}, 404),
        (f"children/{encode_id(METER)}/retire", {"keep_in_cloud": True}, 200),
        (f"children/{encode_id(METER)}/retire", {}, 400),
        (f"children/{encode_id('sn:nobody')}/retire", {"keep_in_cloud": True}, 404),
        (f"children/{encode_id(METER)}/replace", {"successor": encode_id(UNIT)}, 200),
        (f"children/{encode_id(METER)}/replace", {"successor": "!!"}, 409),
        (f"waiting/{encode_id(UNIT)}/admit-as", {"model_id": "not-a-guid"}, 422),
        (f"waiting/{encode_id(UNIT)}/admit-as", {"model_id": GUID}, 200),
        ("several", {"action": "ignore", "ids": [encode_id(XIAOMI)]}, 200),
        ("several", {"action": "ignore", "ids": ["x"] * (MOST_AT_ONCE + 1)}, 400),
    ):
        async with page.http.post(f"{base}/{path}", json=body, headers=page.bearer) as answer:
            assert answer.status == status, (path, body, await answer.text())
    assert [done[0] for done in view.done] == ["look", "retire", "replace", "admit", "ignore"]


async def test_the_last_frames_are_shown_to_those_who_operate_and_can_be_downloaded(page, view):
    path = f"/devices/{encode_id(METER)}/frames"
    assert (await get(page, path))[0] != 200
    _, html = await get(page, path, **page.bearer)
    assert html.index("?PWR·") < html.index("01 03 00 00 00 02 c4 0b")
    _, text = await get(page, f"{path}.txt", **page.bearer)
    lines = text.splitlines()
    assert lines[0] == "2026-11-30 10:00:00.001 UTC sent 01 03 00 00 00 02 c4 0b | unit 1: read holding registers 0 to 1"
    assert lines[-1] == "10:00:00.012 received 3f 50 57 52 0d | ?PWR·"
    assert html.count('<tr class="wrong">') == 1
    assert (await get(page, f"/devices/{encode_id('sn:nobody')}/frames", **page.bearer))[0] == 404
    async with page.http.get(f"/api/v1{path}", headers=page.bearer) as answer:
        assert (await answer.json())["frames"][0]["direction"] == "sent"
