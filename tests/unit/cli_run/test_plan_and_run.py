"""`planner plan` and `planner run --observe` on a deployment in memory."""

import json
import os
import re
import signal
import threading
import time
from contextlib import suppress
from urllib.request import urlopen

from planner.cli.main import main
from planner.core.role import Role
from planner.journal import Journal
from runtime.servers import free_port

SLA = ["--sla", "ttft=200ms", "--sla", "itl=20ms"]
ONCE = ["run", "--observe", "--once", *SLA, "--interval", "400ms"]
PLAN = ["plan", *SLA, "--window", "400ms"]


def test_a_plan_for_people(deployed, own_state, capsys):
    with deployed() as target:
        assert main([*PLAN, *target]) == 0
    out, err = capsys.readouterr()
    assert err == "watching the traffic for 400ms\n"
    first, second, *roles, summary, counts, blank, told, last = out.splitlines()
    assert first == "SLA   99% of requests with ttft <= 200ms and itl <= 20ms"
    assert second == "      model nvidia/Llama-3.1-8B-Instruct-FP8   metrics 0s old"
    assert re.match(r"  \+ prefill    1 -> (\d+) replicas \(\+\d+\)", roles[0])
    assert "DemandForecast: " in out
    assert " replicas of work expected in 1m5s, times " in out
    prefill, decode = (line for line in roles if line.startswith("      attains    "))
    assert prefill.count("%") == decode.count("%") == 3
    assert summary.startswith("GPUs 2 -> ")
    assert re.fullmatch(r"Plan: [1-9]\d* to add, 0 to drain\.", counts)
    assert not blank
    assert told.startswith("Nothing was changed, and planner cannot act here: ")
    assert last.endswith("planner run --fleet FILE")
    assert all(len(line) <= 100 for line in out.splitlines())
    assert not list(own_state.iterdir())


def test_a_plan_for_programs(deployed, capsys):
    with deployed(prefill=2) as target:
        assert main([*PLAN, "-o", "json", "--detailed-exitcode", *target]) == 10
    document = json.loads(capsys.readouterr().out)
    assert (document["schema_version"], document["acted"]) == ("1", False)
    assert document["sla"] == {"ttft_ms": 200.0, "itl_ms": 20.0, "attainment": 0.99}
    prefill, decode = document["decisions"]
    assert (prefill["role"], prefill["current"], decode["role"]) == ("prefill", 2, "decode")
    assert prefill["steps"][0]["inputs"]["rate_rps"] > 10
    fewer, chosen, more = prefill["alternatives"]
    assert fewer["replicas"] + 1 == chosen["replicas"] == prefill["desired"] == more["replicas"] - 1
    assert fewer["attainment"] <= chosen["attainment"] <= more["attainment"]
    assert "cost_per_hour" in chosen
    assert document["gpus"] == {
        "current": 3, "desired": prefill["desired"] + decode["desired"], "budget": None
    }  # fmt: skip
    assert set(document["cost_per_hour"]) == {"current", "desired"}
    assert set(document["attainment"]) == {"current", "predicted"}
    assert document["changes"]["add"] + document["changes"]["drain"] > 0
    assert document["to_act"] is None


def test_an_sla_that_no_replicas_meet_ends_with_4(deployed, capsys):
    with deployed() as target:
        arguments = ["plan", "--sla", "ttft=1ms,itl=20ms", "--window", "400ms", *target]
        assert main(arguments) == 4
    out, err = capsys.readouterr()
    assert "SlaInfeasible: no number of replicas meets it for prompts of 3000 tokens" in out
    assert "Nothing was changed" not in out  # what follows it is how to act on the plan
    assert "the nearest that is met is ttft=" in err


def test_observing_once_records_and_changes_nothing(deployed, own_state, capsys):
    with deployed() as target:
        assert main([*ONCE, *target]) == 0
    out, err = capsys.readouterr()
    first, *_, last = err.splitlines()
    assert first.startswith("planner OBSERVES test: it records every 400ms how many replicas")
    assert last == "planner ended; replicas stay as they are: prefill 1, decode 1"
    assert not out
    with Journal.read(own_state / "journal.sqlite") as journal:
        latest = journal.latest()
        (run,) = journal.runs()
    assert (latest.mode, latest.entry.outcome) == ("observes", "observed")
    assert latest.entry.plan.decisions[Role.PREFILL].current == 1
    assert run.config["policy"]["sla"] == {
        "ttft_seconds": 0.2, "itl_seconds": 0.02, "attainment": 0.99
    }  # fmt: skip


def test_a_run_shows_its_metrics_and_ends_on_sigterm(deployed, capsys):
    port = free_port()
    pages = []

    def look_then_stop():
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                pages.append(page.read().decode())
            if pages and "planner_desired_replicas{" in pages[-1]:
                break
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    with deployed() as target:
        looking = threading.Thread(target=look_then_stop)
        looking.start()
        arguments = ["--interval", "200ms", "--metrics-port", str(port), *target]
        assert main(["run", "--observe", *SLA, *arguments]) == 0
        looking.join()
    assert 'planner_current_replicas{role="decode"} 1.0' in pages[-1]
    assert "planner_acts 0.0" in pages[-1]
    err = capsys.readouterr().err
    assert f"metrics at http://127.0.0.1:{port}/metrics" in err
    assert err.splitlines()[-1].startswith("planner ended; replicas stay as they are")


def test_a_plan_goes_on_from_what_the_journal_remembers(deployed, own_state, capsys):
    with deployed() as target:
        main([*ONCE, *target])
        before = Journal.read(own_state / "journal.sqlite")
        seen = before.state().flows.seen_seconds
        count = before.latest().id
        main([*PLAN, *target])
        assert before.latest().id == count
        assert before.state().flows.seen_seconds == seen
        before.close()


def test_nobody_registered_is_told(capsys, deployed):
    with deployed(prefill=0, decode=0) as target:
        assert main([*PLAN, *target]) == 1
    assert "no worker is registered in namespace test" in capsys.readouterr().err


def test_settings_are_shown_with_their_origin(monkeypatch, capsys):
    monkeypatch.setenv("PLANNER_INTERVAL", "9s")
    assert main(["run", "--show-config", "--min", "decode=2", "-o", "json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["interval"] == {"value": "9s", "origin": "PLANNER_INTERVAL"}
    assert settings["min"] == {"value": {"decode": 2}, "origin": "--min"}
    assert settings["sla"] == {"value": None, "origin": "default"}
    assert main(["run", "--show-config"]) == 0
    assert "PLANNER_INTERVAL" in capsys.readouterr().out
