"""The very command lines of deploy/compose/compose.yaml, on the real etcd and nats-server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from composition import containers, health_check, services
from containers import Container

pytestmark = pytest.mark.e2e

SERVERS = ("etcd", "nats")
RUN = (*SERVERS, "frontend", "prefill", "decode", "planner")
SECONDS = 60.0


@pytest.fixture
async def compose(tmp_path: Path) -> AsyncIterator[dict[str, Container]]:
    made = containers(RUN, tmp_path)
    try:
        yield made
    finally:
        for one in made.values():
            await one.kill()


async def healthy(one: Container) -> None:
    """Wait until the health check of its service passes."""
    test = health_check(services()[one.name])
    if test[0] == "etcdctl":
        test.append("--endpoints=http://127.0.0.1:2379")
    if test[0] == "wget":  # may not be here: it asks for a page alone
        test = ["python", "-c", f"import urllib.request as u; u.urlopen('{test[-1]}')"]
    try:
        async with asyncio.timeout(SECONDS):
            while await one.ask(test):
                assert one.process is not None
                if one.process.returncode is not None:
                    pytest.fail(f"{one.name} ended\n{one.log.read_text()[-3000:]}")
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail(f"{one.name} is not healthy\n{one.log.read_text()[-3000:]}")


async def up(made: dict[str, Container], *names: str) -> None:
    """Start the services *names*, each once what it depends on is healthy."""
    for name in names:
        for other in services()[name].get("depends_on", ()):
            await healthy(made[other])
        await made[name].start()
    for name in names:
        await healthy(made[name])


async def test_it_answers_is_observed_and_drains(compose: dict[str, Container]) -> None:
    await up(compose, *RUN)
    at = {name: one.address for name, one in compose.items()}
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        body = {"model": "simulated", "prompt": "word " * 300, "max_tokens": 8}
        url = f"http://{at['frontend']}:8080/v1/completions"
        async with session.post(url, json=body) as answer:
            assert (await answer.json())["usage"]["completion_tokens"] == 8
        async with session.get(f"http://{at['decode']}:9100/metrics") as page:
            assert 'planner_worker_remote_prefills_total{component="decode"' in await page.text()
        planner = f"http://{at['planner']}:9400"
        async with asyncio.timeout(SECONDS):
            while "planner_desired_replicas{" not in await text(session, f"{planner}/metrics"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        groups = json.loads(await text(session, f"{planner}/targets"))
    assert {group["targets"][0] for group in groups} == {
        f"{at['planner']}:9400", f"{at['frontend']}:8080",
        f"{at['prefill']}:9100", f"{at['decode']}:9100",
    }  # fmt: skip

    for name in reversed(RUN):
        async with asyncio.timeout(30):
            code = await compose[name].stop()
        assert code == 0 or name in SERVERS, compose[name].log.read_text()[-2000:]


async def text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as page:
        return await page.text()


async def test_etcd_and_nats_alone_keep_what_they_were_told(
    compose: dict[str, Container],
) -> None:
    etcd, nats = compose["etcd"], compose["nats"]
    await up(compose, *SERVERS)
    endpoint = "--endpoints=http://127.0.0.1:2379"
    assert await etcd.ask(["etcdctl", endpoint, "put", "config/planner/disaggregation", "{}"]) == 0
    for one in (etcd, nats):
        await one.stop()
    await up(compose, *SERVERS)
    get = f"etcdctl {endpoint} get config/planner/disaggregation | grep -q '{{}}'"
    assert await etcd.ask(["sh", "-c", get]) == 0
    assert any(nats.folders["/data"].rglob("*"))
