"""What doctor says of the page's token."""

import pytest

from gateway.doctor.status_page import _token_finding
from gateway.models import FindingState
from gateway.status.auth.token_file import make_token


@pytest.mark.parametrize(
    ("content", "state", "text"),
    [
        (None, FindingState.FINE, "the gateway makes one at its first start"),
        (b"", FindingState.WARNING, "is damaged: the next start makes a new token"),
        (b"\xff", FindingState.WARNING, "is damaged"),
        ("made", FindingState.FINE, "`xyte-gateway token` makes and shows a new one"),
    ],
    ids=["none", "empty", "damaged", "fine"],
)
def test_doctor_tells_whether_the_page_has_a_token_and_how_to_get_a_new_one(tmp_path, content, state, text):
    file = tmp_path / "status-token"
    if content == "made":
        make_token(file, lambda token: None)
    elif content is not None:
        file.write_bytes(content)
    finding = _token_finding(file)
    assert finding.state is state
    assert text in finding.meaning


def test_a_token_that_cannot_be_read_is_a_warning(tmp_path):
    (tmp_path / "status-token").mkdir()
    assert _token_finding(tmp_path / "status-token").state is FindingState.WARNING
