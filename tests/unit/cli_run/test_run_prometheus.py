"""`planner run` and `plan` against a Prometheus in memory."""

import asyncio
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_prometheus import fake_prometheus

from planner.cli.main import main
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.journal import Journal, Query

PAGES = Path(__file__).parents[1] / "sources" / "pages"
HOST = "llm-1:8000"
FLAGS = [
    "--servers", f"aggregated=http://{HOST}", "--interval=300ms", "--max-age=10s",
    "--sla", "ttft=250ms,itl=25ms", "--profile", "llama-3.1-8b-fp8-h200",
]  # fmt: skip


@contextmanager
def scraped(*pages, every=5.0, **target):
    """Yield a Prometheus that has scraped *pages* of one target, one after another."""
    loop, made = asyncio.new_event_loop(), []
    up, ended = threading.Event(), asyncio.Event()

    async def serve():
        async with fake_prometheus() as fake:
            for name in pages:
                fake.now += every
                page = None if name is None else (PAGES / f"{name}.txt").read_text()
                fake.scrape(page, **({"instance": HOST, "job": "llm"} | target))
            made.append(fake)
            up.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def test_one_look_is_recorded(own_state, capsys):
    with scraped("vllm_idle", "vllm_busy") as fake:
        fake.now += 2.0
        assert main(["run", "--observe", "--once", "--prometheus", fake.url, *FLAGS]) == 0
    assert capsys.readouterr().err.startswith("planner OBSERVES 1 server")
    with Journal.read(own_state / "journal.sqlite") as journal:
        (entry,) = [record.entry for record in journal.query(Query())]
    assert entry.observation.fleet == {Role.AGGREGATED: Replicas(ready=1)}
    assert (entry.observation.traffic.arrived, entry.observation.traffic.seconds) == (32, 5.0)
    assert entry.observation.age_seconds == pytest.approx(2.0)


def test_a_plan(own_state, capsys):
    with scraped("vllm_idle", "vllm_busy") as fake:
        assert main(["plan", "--prometheus", fake.url, "--window=100ms", *FLAGS]) == 0
    out = capsys.readouterr().out
    assert "DemandForecast" in out or "replicas of work" in out
    assert "MetricsUnavailable" not in out


def test_one_that_is_away_is_told_with_what_looks_at_it(own_state, capsys):
    assert main(["plan", "--prometheus", "http://127.0.0.1:9", "--window=100ms", *FLAGS]) == 1
    err = capsys.readouterr().err
    assert "error: http://127.0.0.1:9 does not answer: Cannot connect" in err
    assert "hint: planner doctor --prometheus http://127.0.0.1:9" in err
