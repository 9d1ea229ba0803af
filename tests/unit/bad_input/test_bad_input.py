"""Whatever is wrong with what a user gives: one line with what and its limit, a hint, no trace.

Bodies of HTTP requests are tested with the frontend.
"""

import json
import logging
import os
import re

import pytest

from planner.cli.main import main

SLA = "ttft=200ms,itl=20ms"
PROFILE = "llama-3.1-8b-fp8-h200"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
SIZE = f"size --profile {PROFILE} --rate 20/s --isl 3000 --osl 300"
SIMULATE = f"simulate --profile {PROFILE} --trace bundled:azure-conv"
REPLAY = "replay --url http://127.0.0.1:9 --trace bundled:azure-conv"

FILES = {
    "empty.csv": "",
    "header.csv": AZURE,
    "strange.txt": "a,b,c\n1,2,3\n",
    "columns.csv": f"{AZURE}\n2023-11-16 18:15:46.680,374\n",
    "time.csv": f"{AZURE}\nyesterday,374,44\n",
    "tokens.csv": f"{AZURE}\n2023-11-16 18:15:46.680,many,44\n",
    "zero.csv": f"{AZURE}\n2023-11-16 18:15:46.680,374,0\n",
    "unordered.csv": f"{AZURE}\n2023-11-16 18:15:47,1,1\n2023-11-16 18:15:46,1,1\n",
    "mooncake.jsonl": '{"timestamp": 0, "input_length": 10}\n',
    "broken.jsonl": '{"timestamp": 0,\n',
    "notjson.json": "{",
    "list.json": "[]",
    "noengines.json": json.dumps({"schema_version": "1", "name": "p", "engines": []}),
    "unknown.toml": 'intervall = "5s"\n',
    "nounit.toml": "interval = 5\n",
    "broken.toml": "interval 5\n",
    "notes.sqlite": "these are notes, not a database, and long enough to be read as a page" * 9,
}

SLAS = [
    ("ttft=200", r"--sla ttft=200: a duration needs a unit \(ms or s\)", "--sla ttft=200ms"),
    ("ttft=soon", r"--sla ttft=soon: 'soon' is not a duration", "200ms"),
    ("ttft=0ms", r"ttft=0s: must be above 0 and at most 1h", "--sla ttft=200ms"),
    ("ttft=2h", r"ttft=2h: must be above 0 and at most 1h", "--sla ttft=200ms"),
    ("tpot=20ms", r"--sla tpot=20ms: unknown metric 'tpot'", "did you mean itl?"),
    ("ttft.p95=200ms", r"--sla ttft.p95=200ms: percentiles are", "ttft=200ms,attainment=95%"),
    ("ttft=200ms,ttft=1s", r"--sla ttft=1s: given twice", "name each target once"),
    ("attainment=99%", r"an SLA needs a ttft or an itl target", "--sla ttft=200ms"),
    ("ttft=1s,attainment=99", r"attainment=99: a share above 1 needs a percent", "99%"),
    ("ttft=1s,attainment=20%", r"attainment=20%: must be between 50% and 99.99%", "99%"),
    ("ttft", r"--sla ttft: ttft needs a value", "ttft=200ms"),
]
SLA_COMMANDS = {"run": "run", "plan": "plan", "size": SIZE, "simulate": SIMULATE, "replay": REPLAY}

TRACES = [
    ("gone.csv", "trace gone.csv: no such file"),
    (".", r"trace \.: cannot be read: Is a directory"),
    ("empty.csv", "trace empty.csv: the file is empty"),
    ("header.csv", "trace header.csv: no requests, only a header"),
    ("strange.txt", "trace strange.txt, line 1: unknown format: 'a,b,c'"),
    ("columns.csv", "trace columns.csv, line 2: 2 columns: the header has 3"),
    ("time.csv", "trace time.csv, line 2: TIMESTAMP 'yesterday': not a date and time"),
    ("tokens.csv", "trace tokens.csv, line 2: ContextTokens 'many': not a whole number"),
    ("zero.csv", "trace zero.csv, line 2: GeneratedTokens 0: must be from 1 to"),
    ("unordered.csv", r"trace unordered.csv, line 3: arrives 1.000 s before the request above it"),
    ("mooncake.jsonl", "trace mooncake.jsonl, line 1: no output_length"),
    ("broken.jsonl", "trace broken.jsonl, line 1: not JSON"),
    ("bundled:azure", "trace bundled:azure: not bundled"),
]
TRACE_COMMANDS = {
    "simulate": f"simulate --profile {PROFILE} --sla {SLA} --trace",
    "replay": "replay --url http://127.0.0.1:9 --trace",
}

PROFILES = [
    ("llama-3.1-8b", "profile 'llama-3.1-8b': not bundled"),
    ("gone.json", "profile gone.json: No such file or directory"),
    ("notjson.json", "profile notjson.json: line 1"),
    ("list.json", "profile list.json: is not a JSON object"),
    ("noengines.json", "noengines.json: model: is missing"),
]
PROFILE_COMMANDS = {
    "run": f"run --sla {SLA} --profile",
    "plan": f"plan --sla {SLA} --profile",
    "simulate": f"simulate --trace bundled:azure-conv --sla {SLA} --profile",
    "size": f"size --rate 20/s --isl 3000 --osl 300 --sla {SLA} --profile",
}

CONFIGS = [
    ("gone.toml", "gone.toml: No such file or directory"),
    ("unknown.toml", "unknown.toml: intervall: unknown setting"),
    ("nounit.toml", "nounit.toml: interval 5: a duration needs a unit"),
    ("broken.toml", "broken.toml: not TOML"),
]
CONFIG_COMMANDS = {
    "run": f"run --sla {SLA} --config",
    "plan": f"plan --sla {SLA} --config",
    "simulate": f"{SIMULATE} --sla {SLA} --config",
}

FLAGS = [
    ("", "", 2),
    ("plan --sla ttft=200ms --intervall 5s", "no such option", 2),
    ("rum", "no such command: rum", 2),
    ("run", "no SLA is set", 2),
    ("plan", "no SLA is set", 2),
    (f"run --sla {SLA}", "no deployment is known here", 2),
    (f"plan --sla {SLA}", "no deployment is known here", 2),
    (f"run --sla {SLA} --interval 5", "--interval 5: a duration needs a unit", 2),
    (f"run --sla {SLA} --min decod=1", "--min: unknown role 'decod'", 2),
    (f"run --sla {SLA} --max 3", "--max 3: '3' names no role", 2),
    (f"run --sla {SLA} --max-gpus none", "--max-gpus none: input should be a valid integer", 2),
    (f"run --sla {SLA} --max-gpus 0", "--max-gpus 0: input should be greater than or", 2),
    (f"run --sla {SLA} --tolerance 7", "--tolerance 7: a share above 1 needs a percent", 2),
    (f"run --sla {SLA} --parallelism decode=2", "--parallelism: '2' is not a parallelism", 2),
    (f"run --sla {SLA} --connector helm", "--connector helm: input should be 'circus'", 2),
    (f"run --sla {SLA} --metrics-port 70000", "--metrics-port 70000: input should be less", 2),
    (f"run --sla {SLA} --store etcd://h:1", "was not started here, so it can only be obs", 2),
    (f"run --sla {SLA} --observe --store redis://h", "discovery address 'redis://h'", 1),
    (f"plan --sla {SLA} --store etcd://127.0.0.1:9", "etcd at 127.0.0.1:9 does not answer", 1),
    (f"plan --sla {SLA} --window 2", "--window 2: a duration needs a unit", 2),
    (f"plan --sla {SLA} -o yaml", "invalid value for '-o'", 2),
    (f"{SIMULATE} --sla {SLA} --speed 0", "speed 0: must be a finite number above 0", 2),
    (f"{SIMULATE} --sla {SLA} --swing 6:1", "swing 6:1: the second speed must be at", 2),
    (f"{SIMULATE} --sla {SLA} --prefill 2", "--prefill 2: --decode is missing", 2),
    (f"{REPLAY} --swing fast", "--swing fast: must be two speeds", 2),
    (f"{REPLAY} --period 5s", "--period without --swing", 2),
    (f"{REPLAY} --speed 2 --swing 1:2", "--speed with --swing", 2),
    (f"{REPLAY} --start 9d", "--start 9d .*no request arrives in this part", 2),
    (f"{REPLAY} --duration 0s", "window duration 0: must be a finite number above 0", 2),
    (f"{REPLAY} --timeout 5", "--timeout 5: a duration needs a unit", 2),
    (f"{REPLAY}", "127.0.0.1:9: not an OpenAI endpoint that answers", 1),
    ("replay --trace bundled:azure-conv", "no --url, and no deployment runs here", 2),
    ("replay --trace bundled:azure-conv --url h:1", "--url h:1: not an address over http", 2),
    ("replay", "missing option '--trace'", 2),
    ("chat", "no --url, and no deployment runs here", 2),
    ("chat --url ftp://h", "--url ftp://h: not an address over http", 2),
    ("chat --url http://127.0.0.1:9", "127.0.0.1:9: not an OpenAI endpoint that answers", 1),
    (f"{SIZE} --sla {SLA} --rate 20", "--rate 20: a rate needs a unit", 2),
    (f"{SIZE} --sla ttft=1ms,itl=20ms", "no number of replicas meets it", 4),
    ("history", "no journal at ", 1),
    ("history --mode acting", "'acting' is not one of", 2),
    ("config shwo", "no such command: shwo", 2),
    ("config show --interval 5", "--interval 5: a duration needs a unit", 2),
    ("config init no/folder/own.toml", "no/folder/own.toml: no such file or directory", 2),
    ("config validate none.toml", "none.toml: no such file", 2),
    ("completion bsh", "'bsh' is not one of 'bash', 'zsh', 'fish'", 2),
    ("explain cold_strat", "neither latest nor the id of a decision, a setting or a rea", 2),
    ("status", "no deployment runs in ", 1),
    ("status --watch", "no deployment runs in ", 1),
    ("explain", "no journal at ", 1),
    ("explain seven", "'seven' is neither latest nor the id of a decision", 2),
    ("history --journal notes.sqlite", "journal notes.sqlite: ", 1),
    ("serve --planner maybe", "invalid value for '--planner'", 2),
    ("serve --sla ttft=200", "--sla ttft=200: a duration needs a unit", 2),
    ("serve --profile nothing-like-it", "profile 'nothing-like-it': not bundled", 2),
    ("serve --aggregated 1 --decode 1", "--aggregated 1 does both phases", 2),
]


def named(cases):
    return [pytest.param(*case, id=str(case[0]) or "nothing") for case in cases]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Run in a folder with nothing but the bad files, and with an empty state folder."""
    for variable in [name for name in os.environ if name.startswith("PLANNER_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PLANNER_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {*FILES, "state"}, "something was left half-done"


def refused(arguments, capsys):
    """Run the program; return its exit code and the error, having checked the error's form."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    error, _, hint = err[err.index("error: ") :].partition("\n\nhint: ")
    assert "\n" not in error.strip()
    assert "\n" not in hint.strip()
    return code, error.strip(), hint.strip()


@pytest.mark.parametrize("command", SLA_COMMANDS)
@pytest.mark.parametrize(("sla", "message", "hint"), named(SLAS))
def test_bad_slas(command, sla, message, hint, capsys):
    code, error, said = refused([*SLA_COMMANDS[command].split(), "--sla", sla], capsys)
    assert code == 2
    assert re.search(message, error)
    assert hint in said


@pytest.mark.parametrize("command", TRACE_COMMANDS)
@pytest.mark.parametrize(("trace", "message"), named(TRACES))
def test_bad_traces(command, trace, message, capsys):
    code, error, _ = refused([*TRACE_COMMANDS[command].split(), trace], capsys)
    assert code == 2
    assert re.search(message, error)


@pytest.mark.parametrize("command", PROFILE_COMMANDS)
@pytest.mark.parametrize(("profile", "message"), named(PROFILES))
def test_bad_profiles(command, profile, message, capsys):
    code, error, _ = refused([*PROFILE_COMMANDS[command].split(), profile], capsys)
    assert code == 2
    assert message in error


@pytest.mark.parametrize("command", CONFIG_COMMANDS)
@pytest.mark.parametrize(("config", "message"), named(CONFIGS))
def test_bad_configurations(command, config, message, capsys):
    code, error, hint = refused([*CONFIG_COMMANDS[command].split(), config], capsys)
    assert code == 2
    assert message in error
    assert hint


@pytest.mark.parametrize(("arguments", "message", "expected"), named(FLAGS))
def test_bad_flags(arguments, message, expected, capsys):
    if not arguments:
        assert main([]) == expected
        assert "Usage: planner" in capsys.readouterr().err
        return
    code, error, _ = refused(arguments.split(), capsys)
    assert re.search(message, error)
    assert code == expected


def test_bad_environment(monkeypatch, capsys):
    monkeypatch.setenv("PLANNER_INTERVAL", "5")
    code, error, hint = refused(["run", "--sla", SLA], capsys)
    assert (code, error, hint) == (
        2,
        "error: PLANNER_INTERVAL 5: a duration needs a unit (ms or s)",
        "PLANNER_INTERVAL 5s",
    )
