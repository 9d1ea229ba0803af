"""A worker without an engine: registers in a folder, and on SIGTERM drains until it may go.

NAME FOLDER; how long it starts and drains is read from two files there when the time comes.
"""

import ctypes
import json
import os
import pathlib
import signal
import sys
import threading

name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # end with the supervisor
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
record = folder / f"{name}.json"


def seconds(file):
    return float((folder / file).read_text())


def register(state):
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    new = record.with_suffix(".new")
    new.write_text(json.dumps({"state": state, "pid": os.getpid(), "gpus": gpus}))
    new.replace(record)


if not told.wait(seconds("start_seconds")):
    register("ready")
    told.wait()
    register("draining")
    threading.Event().wait(seconds("drain_seconds"))
    record.unlink()
