import stat

import pytest

from gateway.errors import StoreError
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.token_file import load_or_create_token, new_token


def test_a_token_is_made_once_and_only_its_hash_is_kept(tmp_path):
    file = tmp_path / "status-token"
    digest, token = load_or_create_token(file)
    assert len(token) >= 43
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_create_token(file) == (digest, None)
    assert TokenAuth(digest, host="0.0.0.0").is_token(token)
    assert not TokenAuth(digest, host="0.0.0.0").is_token(token[:-1])


def test_two_tokens_are_never_the_same():
    assert len({new_token() for _ in range(100)}) == 100


def test_a_token_that_cannot_be_kept_is_told_with_its_file(tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        load_or_create_token(tmp_path / "nowhere" / "token")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="cannot be read"):
        load_or_create_token(tmp_path / "bytes")
