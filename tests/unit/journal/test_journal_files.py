"""A journal file survives kill -9, is read while written, and tells what is wrong with it."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from planner.core.state import PolicyState
from planner.errors import JournalError
from planner.journal import Entry, Journal, Query, Run

RUN = Run(started=0.0, mode="observes", sla="ttft=1s")
WRITER = """
import sys
from planner.core.state import PolicyState
from planner.journal import Entry, Journal, Run
with Journal.open(sys.argv[1]) as journal:
    run = journal.begin(Run(started=0.0, mode="observes", sla="ttft=1s"))
    n = 0
    while True:
        n += 1
        entry = Entry(at=n, observation=None, plan=None)
        id = journal.append(run, entry, state=PolicyState(at=n))
        print(id, flush=True)
"""


def blank(at: float) -> Entry:
    return Entry(at=at, observation=None, plan=None)


def test_nothing_that_was_acknowledged_is_lost_to_kill_9(tmp_path):
    path = tmp_path / "j.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    try:
        acknowledged = [int(writer.stdout.readline()) for _ in range(200)][-1]
        with Journal.read(path) as reader:  # while the writer writes
            assert len(reader.query(Query(limit=1000))) >= acknowledged
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = [acknowledged, *(int(line) for line in writer.stdout)][-1]
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    with Journal.open(path) as journal:
        latest = journal.latest()
        assert latest is not None
        assert latest.id >= acknowledged
        assert journal.state() == PolicyState(at=latest.entry.at)
        assert journal.append(journal.begin(RUN), blank(9.0)) == latest.id + 1


def test_a_reader_sees_what_is_written_after_it_opened(tmp_path):
    path = tmp_path / "j.sqlite"
    with Journal.open(path) as writer:
        run = writer.begin(RUN)
        with Journal.read(path) as reader:
            assert reader.latest() is None
            writer.append(run, blank(1.0))
            assert reader.latest() is not None


def test_a_reader_cannot_write(tmp_path):
    path = tmp_path / "j.sqlite"
    Journal.open(path).close()
    with Journal.read(path) as reader, pytest.raises(JournalError, match="readonly"):
        reader.begin(RUN)


def damaged_page(path: Path) -> None:
    with Journal.open(path) as journal:
        run = journal.begin(RUN)
        for at in range(500):
            journal.append(run, blank(float(at)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()


def newer(path: Path) -> None:
    Journal.open(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()


def damaged_row(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.append(journal.begin(RUN), blank(1.0))
    db = sqlite3.connect(path)
    db.execute("UPDATE decisions SET plan = '{\"at\": '")
    db.commit()
    db.close()


FILES = [
    pytest.param(lambda p: p.write_text("hello, world " * 999), "not a database", id="text"),
    pytest.param(damaged_page, "damaged", id="damaged page"),
    pytest.param(damaged_row, "damaged", id="damaged row"),
    pytest.param(foreign, "not a planner's", id="another program's"),
    pytest.param(newer, "schema version 7; this planner reads up to 1", id="newer"),
    pytest.param(lambda p: p.mkdir(), "a folder, not a file", id="folder"),
]


@pytest.mark.parametrize(("make", "message"), FILES)
@pytest.mark.parametrize("opener", [Journal.open, Journal.read])
def test_a_file_that_is_no_journal_is_one_line(tmp_path, make, message, opener):
    path = tmp_path / "j.sqlite"
    make(path)
    with pytest.raises(JournalError, match=message) as caught, opener(path) as journal:
        journal.query(Query())
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_state_that_is_not_one_is_told(tmp_path):
    path = tmp_path / "j.sqlite"
    with Journal.open(path) as journal:
        journal.append(journal.begin(RUN), blank(1.0), state=PolicyState())
    db = sqlite3.connect(path)
    db.execute("UPDATE state SET state = '{}'")
    db.commit()
    db.close()
    with Journal.read(path) as journal, pytest.raises(JournalError, match="damaged: policy state"):
        journal.state()


def test_the_past_of_another_version_is_left_out_and_decisions_begin_anew(tmp_path):
    path = tmp_path / "j.sqlite"
    with Journal.open(path) as journal:
        journal.append(journal.begin(RUN), blank(1.0), state=PolicyState(at=1.0))
    db = sqlite3.connect(path)
    for table, column in (("state", "state"), ("runs", "initial_state")):
        db.execute(f"UPDATE {table} SET {column} = json_set({column}, '$.schema_version', '0')")
    db.commit()
    db.close()
    with Journal.open(path) as journal:
        assert journal.state() is None
        assert journal.runs() == []
        journal.append(journal.begin(RUN), blank(2.0), state=PolicyState(at=2.0))
        assert journal.state() == PolicyState(at=2.0)
        assert len(journal.runs()) == 1
        assert len(journal.query(Query())) == 2


def test_reading_a_journal_that_is_not_there_creates_none(tmp_path):
    path = tmp_path / "none.sqlite"
    with pytest.raises(JournalError, match="no journal at") as caught:
        Journal.read(path)
    assert "planner run --observe" in str(caught.value.hint)
    assert not path.exists()


def test_a_file_where_the_folder_should_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="File exists"):
        Journal.open(tmp_path / "file" / "j.sqlite")
