"""`planner run --observe --servers` against servers that tell recorded pages, one after another."""

import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from planner.cli.main import main
from planner.core.observation import Replicas
from planner.core.role import Role
from planner.errors import JournalError
from planner.journal import Journal, Query
from planner.ports import Outcome
from runtime.servers import free_port

PAGES = Path(__file__).parents[1] / "sources" / "pages"
FLAGS = ["--sla", "ttft=250ms,itl=25ms", "--profile", "llama-3.1-8b-fp8-h200", "--interval=300ms"]


@contextmanager
def serving(*pages):
    """Yield the URL of a server that tells one of *pages* at each look, the last one ever after."""
    texts = [(PAGES / f"{name}.txt").read_bytes() for name in pages]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            found = self.path == "/metrics"
            body = (texts.pop(0) if len(texts) > 1 else texts[0]) if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def entries(folder):
    """Return what is recorded in *folder* so far: nothing while the journal is being made."""
    with suppress(JournalError), Journal.read(folder / "journal.sqlite") as journal:
        return [record.entry for record in journal.query(Query())]
    return []


def test_one_look_is_recorded_and_explained(own_state, capsys, caplog):
    with serving("vllm_idle", "vllm_busy") as url:
        command = ["run", "--observe", "--once", "--servers", f"aggregated={url}", *FLAGS]
        assert main(command) == 0
    err = capsys.readouterr().err
    assert err.startswith("planner OBSERVES 1 server: it records every 300ms how many replicas of")
    assert f"server found url={url} engine=vllm" in caplog.text
    assert err.endswith("planner ended; replicas stay as they are: aggregated 1\n")
    (entry,) = entries(own_state)
    assert entry.observation.fleet == {Role.AGGREGATED: Replicas(ready=1)}
    assert entry.observation.traffic.arrived == 32
    assert entry.observation.load[Role.AGGREGATED].waiting == 4
    assert entry.outcome in {Outcome.OBSERVED, Outcome.UNCHANGED}
    assert main(["explain"]) == 0
    assert "DemandForecast" in capsys.readouterr().out
    assert main(["history"]) == 0
    assert "aggregated" in capsys.readouterr().out


def test_a_plan_of_them(own_state, capsys):
    with serving("vllm_idle", "vllm_busy") as url:
        flags = ["--servers", f"aggregated={url}", "--window=300ms", *FLAGS]
        assert main(["plan", *flags]) == 0
    assert "aggregated 1 -> " in " ".join(capsys.readouterr().out.split())
    assert not list(own_state.iterdir())


@contextmanager
def ended_when(done):
    """End this process' planner once *done()* is true, or after 10 s."""

    def look():
        deadline = time.monotonic() + 10
        try:
            while time.monotonic() < deadline and not done():
                time.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        looking.join()


def test_a_server_that_is_away_is_missing_metrics(own_state, capsys):
    with serving("vllm_idle") as url:
        gone = url
    with ended_when(lambda: len(entries(own_state)) >= 2):
        assert main(["run", "--observe", "--servers", f"aggregated={gone}", *FLAGS]) == 0
    assert "turn failed" not in capsys.readouterr().err
    for entry in entries(own_state):
        assert entry.observation is None
        assert entry.note == f"none of 1 servers told metrics in 1.5s: {gone}"


def test_the_planners_own_metrics_are_served():
    port, pages, targets = free_port(), [], []

    def told():
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            pages.append(page.read().decode())
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/targets", timeout=5) as page:
            targets.append(json.load(page))
        return pages and "planner_desired_replicas{" in pages[-1]

    with serving("vllm_idle") as url, ended_when(told):
        flags = ["--servers", f"aggregated={url}", "--metrics-port", str(port), *FLAGS]
        assert main(["run", "--observe", *flags]) == 0
    assert 'planner_current_replicas{role="aggregated"} 1.0' in pages[-1]
    listed = [f"http://{where}" for group in targets[-1] for where in group["targets"]]
    assert listed == [f"http://127.0.0.1:{port}", url]


FLEET = '[roles.aggregated]\ncommand = "{program} {{port}}"\nfirst_port = 8100\n'


@pytest.mark.parametrize(
    ("program", "flags", "message"),
    [
        pytest.param("/no/such/server", [], "there is no program /no/such/server", id="program"),
        pytest.param("sh", ["--observe"], "no fleet runs in", id="nothing to observe"),
        pytest.param("sh", ["--store=etcd://h1:2379"], "two deployments", id="store"),
        pytest.param("sh", ["--servers=aggregated=http://h1"], "two deployments", id="servers"),
    ],
)
def test_a_fleet_that_cannot_be_started(program, flags, message, own_state, tmp_path, capsys):
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.format(program=program))
    assert main(["run", f"--fleet={file}", "--sla=ttft=1s", "--mode=load", *flags]) == 2
    line, _, hint = capsys.readouterr().err.partition("\n\n")
    assert message in line
    assert hint.startswith("hint: ")
    assert [path.name for path in own_state.iterdir()] == ["fleet.toml"]


BAD = [
    pytest.param(["--servers=aggregated=h1:8000"], "'h1:8000' is not a URL", id="URL"),
    pytest.param(["--servers=agregated=http://h1"], "unknown role 'agregated'", id="role"),
    pytest.param(
        ["--servers=aggregated=http://h1", "--store=etcd://h1:2379"], "two deployments", id="store"
    ),
    pytest.param(
        ["--servers=decode=http://h1", "--min=prefill=1"], "has no such role", id="bounds"
    ),
]


@pytest.mark.parametrize(("flags", "message"), BAD)
def test_what_is_wrong_is_one_line(flags, message, own_state, capsys):
    assert main(["run", "--observe", *FLAGS, *flags]) == 2
    line, _, hint = capsys.readouterr().err.partition("\n\n")
    assert line.startswith("error: ")
    assert message in line
    assert "\n" not in line
    assert hint.startswith("hint: ")
    assert not list(own_state.iterdir())


def test_they_cannot_be_acted_on(capsys):
    assert main(["run", "--servers=aggregated=http://127.0.0.1:9", *FLAGS]) == 2
    err = capsys.readouterr().err
    assert "planner did not start these servers, so they can only be observed" in err
    assert "hint: planner run --observe" in err
