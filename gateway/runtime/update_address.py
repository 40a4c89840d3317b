"""Ask a configured address which versions of the gateway there are. It is told nothing of this gateway."""

from __future__ import annotations

import json

import aiohttp

from gateway.errors import GatewayError
from gateway.plain_text import text_of_error

ASK_SECONDS = 20.0
MOST_BYTES = 256 * 1024
HEADERS = {"Accept": "application/json", "User-Agent": "xyte-gateway"}


class NoVersions(GatewayError):
    """The address could not be asked, or its answer is no JSON; the text says why."""


async def ask_versions(url: str) -> object:
    """Return the JSON that an address answers with.

    Raises:
        NoVersions: there is none; the text says why.
    """
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=HEADERS, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, max_redirects=3) as response,
        ):
            if response.status != 200:
                raise NoVersions(f"it answers {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_chunked(16 * 1024):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise NoVersions(f"its answer has more than {MOST_BYTES // 1024} KB")
        return json.loads(body)
    except TimeoutError:
        raise NoVersions(f"no answer within {ASK_SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise NoVersions(text_of_error(error)) from None
    except (ValueError, RecursionError):
        raise NoVersions("its answer is no JSON") from None
