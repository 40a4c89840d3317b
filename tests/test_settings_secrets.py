import base64
import json
from urllib.parse import quote

import pytest
from pydantic import BaseModel, SecretStr

from gateway.settings_secrets import SecretTexts, secrets_in

SECRET = 'Pä55 wörd/in+a "table"'


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        f"https://host/?p={quote(SECRET, safe='')}&x=1",
        "Authorization: Basic " + base64.b64encode(f"operator:{SECRET}".encode()).decode(),
        "Authorization: Basic " + base64.b64encode(f"op:{SECRET}:and more".encode()).decode(),
        "< " + SECRET.encode().hex(" "),
        SECRET.encode().hex().upper(),
        repr({"password": SECRET}),
    ],
    ids=["plain", "JSON", "JSON with letters", "URL", "basic", "basic, longer", "hex", "HEX", "repr"],
)
def test_a_secret_is_hidden_in_every_form(text):
    masked = SecretTexts([SECRET]).masked(text)
    assert "wörd" not in masked
    assert "********" in masked
    assert SecretTexts(["something else"]).masked(text) == text


def test_hexadecimal_keys_are_hidden_in_either_case():
    hidden = SecretTexts(["aB3dEf00112233445566778899aabbcc"])
    assert hidden.masked("AB3DEF00112233445566778899AABBCC ab3def00112233445566778899aabbcc") == "******** ********"


def test_errors_lose_the_secret_with_all_that_is_behind_them():
    with pytest.raises(RuntimeError) as caught, SecretTexts([SECRET]).masked_in_errors():
        raise RuntimeError(f"outer {SECRET}") from ValueError(f"inner {SECRET}", 7)
    assert str(caught.value) == "outer ********"
    assert caught.value.__cause__.args == ("inner ********", 7)


def test_errors_in_circles_and_groups_are_looked_through():
    first, second = ValueError(SECRET), ValueError("fine")
    first.__context__, second.__context__ = second, first
    with pytest.raises(ExceptionGroup) as caught, SecretTexts([SECRET]).masked_in_errors():
        raise ExceptionGroup("several", [first, second])
    assert SECRET not in f"{caught.value.exceptions}"


def test_secrets_are_found_by_type_by_name_in_files_and_in_urls(tmp_path):
    class Inner(BaseModel):
        bind: SecretStr
        tables: dict[str, str]

    class Settings(BaseModel):
        inner: tuple[Inner, ...]
        password_file: str
        url: str
        name: str

    (tmp_path / "password").write_text("in a file\n")
    settings = Settings(
        inner=(Inner(bind=SecretStr("typed"), tables={"api_token": "named", "user": "operator"}),),
        password_file=str(tmp_path / "password"),
        url="rfc2217://operator:in-a-url@rack:4001",
        name="rack",
    )
    assert set(secrets_in(settings)) == {"typed", "named", "in a file", "in-a-url"}
