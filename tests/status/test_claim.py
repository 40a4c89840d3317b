"""While nobody has claimed the gateway, its page shows how that is done: serial number, QR code, and the portal's address."""

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from gateway.config.settings import CloudSection
from gateway.runtime.claiming import claim_url_of, tell_how_to_claim
from gateway.status.render.qr_code import qr_svg, qr_text

pytestmark = pytest.mark.enable_socket

URL = "https://portal.example.com/claim?sn=GW-0001"


def unclaimed(view, **changes):
    """Let the page show an unclaimed gateway."""
    taken = view.snapshot

    async def snapshot():
        shown = await taken()
        facts = {"is_registered": True, "is_claimed": False, "serial_number": "GW-0001", "claim_text": "GW-0001"} | changes
        return shown.model_copy(update={"gateway": shown.gateway.model_copy(update=facts)})

    view.snapshot = snapshot
    return view


async def got(page, path):
    async with page.http.get(path) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_an_unclaimed_gateway_shows_its_serial_number_and_a_code_of_it(serve, view):
    page = await serve(unclaimed(view))
    _, _, html = await got(page, "/")
    assert "Nobody has claimed it in the cloud yet" in html
    assert "The QR code has the serial number as text" in html
    status, kind, picture = await got(page, "/claim.svg")
    assert (status, kind) == (200, "image/svg+xml")
    assert picture == qr_svg("GW-0001").decode()
    assert "<script" not in picture
    assert "style" not in picture


async def test_with_an_address_of_the_portal_the_page_links_to_it_and_the_code_has_it(serve, view):
    page = await serve(unclaimed(view, claim_url=URL, claim_text=URL))
    _, _, html = await got(page, "/")
    assert f'href="{URL}"' in html
    _, _, picture = await got(page, "/claim.svg")
    assert picture == qr_svg(URL).decode()


async def test_once_it_is_claimed_nothing_is_left_of_it(serve, view):
    page = await serve(unclaimed(view, is_claimed=True, claim_text=None))
    _, _, html = await got(page, "/")
    assert "Claim this gateway" not in html
    status, _, _ = await got(page, "/claim.svg")
    assert status == 404


def test_a_serial_number_with_any_character_stays_one_part_of_the_address():
    template = "https://portal.example.com/{serial_number}/claim"
    assert claim_url_of(template, 'a/b "ü"') == "https://portal.example.com/a%2Fb%20%22%C3%BC%22/claim"
    assert claim_url_of(None, "1") is None


@pytest.mark.parametrize(
    "wrong", ["http://portal.example.com", "javascript:alert(1)", "portal", "https://a b", f"https://x/{'a' * 300}"]
)
def test_what_is_no_safe_address_is_a_mistake_of_the_configuration(wrong):
    with pytest.raises(ValidationError, match="not the address of a page"):
        CloudSection(claim_url=wrong)


async def test_the_log_says_it_once_and_a_terminal_shows_the_code(caplog):
    caplog.set_level(logging.INFO)
    session, registry = SimpleNamespace(is_claimed=None), SimpleNamespace(gateway=SimpleNamespace(serial_number="GW-0001"))
    shown = []
    telling = asyncio.create_task(tell_how_to_claim(session, registry, None, every=timedelta(milliseconds=1), show=shown.append))
    await asyncio.sleep(0)
    session.is_claimed = False
    await asyncio.wait_for(telling, 60)
    assert "claim it in the cloud; its serial number is GW-0001" in caplog.text
    assert shown == [qr_text("GW-0001")]
