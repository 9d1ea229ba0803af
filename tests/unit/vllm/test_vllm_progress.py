"""How far vLLM's processes have come, by what they log."""

import logging

import pytest

from workers.stages import Stages
from workers.vllm import progress


@pytest.fixture
def noting(tmp_path, monkeypatch):
    """Return the file, and a logger as vLLM's modules have them."""
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.setenv(progress.VARIABLE, str(notes))
    root, before = logging.getLogger("vllm"), logging.getLogger("vllm").level
    root.setLevel(logging.INFO)
    progress.note_progress()
    yield notes, logging.getLogger("vllm.v1.engine.core")
    root.removeHandler(root.handlers[-1])
    root.setLevel(before)


def test_the_last_line_of_a_stage_ends_it(noting, monkeypatch):
    notes, log = noting
    times = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    log.info("Starting to load model %s...", "m")
    log.info("Loading weights took %.2f seconds", 0.5)
    log.info("Model loading took %s GiB memory and %.6f seconds", "1", 2.0)
    log.info("init engine (profile, create kv cache, warmup model) took %.2f s", 1.0)
    log.info({"not": "text"})
    assert list(progress.read_progress(notes).items()) == [("weights", 2.0), ("compile", 3.0)]


def test_other_processes_than_a_worker_s_note_nothing(monkeypatch):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    before = list(logging.getLogger("vllm").handlers)
    progress.note_progress()
    assert logging.getLogger("vllm").handlers == before


def test_a_stage_that_ended_a_while_ago_is_noted_with_its_time():
    stages = Stages(lambda: 10.0, started=2.0)
    assert stages.complete("weights", 5.0) == 3.0
    assert stages.complete("engine") == 8.0
