"""`planner replay` and `planner chat` against an OpenAI endpoint on the loopback."""

import io
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from planner.cli.live.conversation import Conversation
from planner.cli.main import main
from planner.errors import PlannerError

TRACE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:00,5,3\n2023-11-16 18:15:00.1,6,1\n2023-11-16 18:15:20,7,2\n"
)


class Endpoint(ThreadingHTTPServer):
    """Streams the words of an answer; refuses while *refuses* says why."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = []
        self.models = ["m"]
        self.refuses = None
        self.gap = 0.0
        self.reached = threading.Event()

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(json.dumps({"data": [{"id": name} for name in self.server.models]}))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        self.server.reached.set()
        if self.server.refuses:
            self.answer(json.dumps({"error": {"message": self.server.refuses}}), status=503)
            return
        chat = "messages" in asked
        words = ["one ", "two ", "three"] if chat else ["w"] * asked["max_tokens"]
        self.send_response(200)
        self.end_headers()
        for word in words:
            time.sleep(self.server.gap)
            part = {"delta": {"content": word}} if chat else {"text": word}
            self.event({"choices": [part | {"finish_reason": None}]})
        self.event({"choices": [], "usage": {"completion_tokens": len(words)}})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, document):
        self.wfile.write(f"data: {json.dumps(document)}\n\n".encode())
        self.wfile.flush()

    def answer(self, text, status=200):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def endpoint():
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return str(path)


def test_replay_for_programs(endpoint, trace, tmp_path, capsys):
    out = tmp_path / "requests.jsonl"
    arguments = ["replay", "--trace", trace, "--url", endpoint.url, "--speed", "100"]
    arguments += ["--sla", "ttft=10s,itl=10s", "--requests-out", str(out), "-o", "json"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == "1"
    assert {k: document[k] for k in ("requests", "completed", "failed", "attainment")} == {
        "requests": 3, "completed": 3, "failed": 0, "attainment": 1.0
    }  # fmt: skip
    assert {"p50", "p95", "p99"} <= set(document["ttft_ms"])
    assert {"p50", "p95", "p99"} <= set(document["itl_ms"])
    assert document["duration_seconds"] > 0.2
    assert document["sla"]["ttft_ms"] == 10_000
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(row["isl"], row["osl"], row["tokens"]) for row in rows} == {
        (5, 3, 3), (6, 1, 1), (7, 2, 2)
    }  # fmt: skip


def test_replay_for_people(endpoint, trace, capsys):
    arguments = ["replay", "--trace", trace, "--url", endpoint.url, "--duration", "1s"]
    assert main([*arguments, "--sla", "ttft=10s"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(f"replaying {trace}: 2 requests in 0s to m at {endpoint.url}")
    assert out.startswith("2 requests, 2 completed, 0 failed, in ")
    assert "attainment 100% of SLA ttft=10s,attainment=99%" in out


def test_replay_where_everything_fails_ends_with_1(endpoint, trace, capsys):
    endpoint.refuses = "no instances"
    arguments = ["replay", "--trace", trace, "--url", endpoint.url, "--speed", "100"]
    assert main([*arguments, "--sla", "ttft=10s"]) == 1
    out = capsys.readouterr().out
    assert "3 requests, 0 completed, 3 failed" in out
    assert "attainment 0%" in out
    assert "failed 3: HTTP 503: no instances" in out


def test_ctrl_c_prints_what_was_measured(endpoint, trace, capsys):
    arguments = ["replay", "--trace", trace, "--url", endpoint.url, "--sla", "ttft=10s"]

    def interrupt():
        endpoint.reached.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    endpoint.gap = 0.2
    code = main(arguments)
    interrupting.join()
    assert code == 130
    assert " interrupted, in " in capsys.readouterr().out


def test_which_model_is_asked(endpoint, trace, capsys):
    endpoint.models = ["a", "b"]
    arguments = ["replay", "--trace", trace, "--url", endpoint.url, "--speed", "1000"]
    assert main(arguments) == 2
    assert "serves a, b\n\nhint: --model a" in capsys.readouterr().err
    assert main([*arguments, "--model", "b"]) == 0
    assert {asked["model"] for asked in endpoint.asked} == {"b"}
    endpoint.models = []
    assert main(arguments) == 1
    assert "serves no model now" in capsys.readouterr().err


def test_what_is_piped_into_chat_is_one_question(endpoint, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("Count\nto three"))
    assert main(["chat", "--url", endpoint.url, "--system", "Be brief."]) == 0
    assert capsys.readouterr().out == "one two three\n"
    (asked,) = endpoint.asked
    assert [m["content"] for m in asked["messages"]] == ["Be brief.", "Count\nto three"]


def test_an_empty_pipe_asks_nothing(endpoint, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main(["chat", "--url", endpoint.url]) == 2
    assert capsys.readouterr().err.startswith("error: stdin is empty")
    assert endpoint.asked == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_chat_keeps_the_conversation_until_it_is_cleared(endpoint, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("hello\n\nagain\n/clear\nanew\n/quit\nnever\n"))
    assert main(["chat", "--url", endpoint.url]) == 0
    said = [[m["content"] for m in asked["messages"]] for asked in endpoint.asked]
    assert said == [["hello"], ["hello", "one two three", "again"], ["anew"]]


def test_a_refusal_does_not_end_the_chat(endpoint, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal("hello\n"))
    endpoint.refuses = "no instances"
    assert main(["chat", "--url", endpoint.url]) == 0
    assert "HTTP 503: no instances" in capsys.readouterr().err


def test_chat_ends_with_the_input(endpoint, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert main(["chat", "--url", endpoint.url]) == 0


def test_an_answer_that_is_stopped_stays_as_far_as_it_came(endpoint):
    conversation = Conversation(endpoint.url, model="m", max_tokens=9)
    answer = conversation.ask("first")
    assert next(answer) == "one "
    answer.close()
    list(conversation.ask("second"))
    assert [m["content"] for m in endpoint.asked[1]["messages"]] == ["first", "one ", "second"]


def test_a_refusal_is_told_and_forgotten(endpoint):
    conversation = Conversation(endpoint.url, model="m", max_tokens=9)
    endpoint.refuses = "no instances"
    with pytest.raises(PlannerError, match="HTTP 503: no instances"):
        list(conversation.ask("first"))
    endpoint.refuses = None
    list(conversation.ask("second"))
    assert [m["content"] for m in endpoint.asked[1]["messages"]] == ["second"]
