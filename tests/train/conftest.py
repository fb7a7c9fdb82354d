"""What the tests of training share."""

import pytest


@pytest.fixture(autouse=True)
def no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end without their picture, which takes longer than all the rest of a small run.

    A test that looks at the picture asks for the fixture `curves`.
    """
    if "curves" not in request.fixturenames:
        monkeypatch.setattr("train.resumable_run.draw_curves", lambda *_: None)


@pytest.fixture
def curves() -> None:
    """Runs draw their picture."""
