"""A deployment that both tells its pages over HTTP and is scraped by a Prometheus in memory."""

import pytest
from fake_prometheus import fake_prometheus


@pytest.fixture
async def fake():
    async with fake_prometheus() as fake:
        yield fake
