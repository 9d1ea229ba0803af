"""Fixtures that every suite shares."""

import asyncio

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_implicit_event_loop() -> None:
    # Python 3.11: a synchronous test before an asynchronous one would leave an implicit loop
    # behind, which ends a green run with an unclosed-socket warning.
    asyncio.set_event_loop(None)
