"""`planner dashboard`: the journal in a browser."""

import socket
import subprocess
import sys
import time
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import click

from planner.cli.output import notice, print_line
from planner.cli.paths import default_journal_path, journal_in
from planner.errors import ConfigError, PlannerError

_LOOPBACK = "127.0.0.1"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - told apart, not bound by default
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_OPTIONS = (
    "--server.headless=true",  # no browser by itself, and no question for an e-mail address
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    "--client.showErrorDetails=type",
    "--runner.magicEnabled=false",
    "--logger.level=error",
    # The default is a red that reads as an alarm. For both, or light would be the only one.
    "--theme.light.primaryColor=#2f7fd1",
    "--theme.dark.primaryColor=#2f7fd1",
)


@click.command
@click.option(
    "--journal", type=click.Path(path_type=Path), envvar="PLANNER_JOURNAL",
    help="File to read; that in the state folder when left out.",
)  # fmt: skip
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder of the deployment.")
@click.option(
    "--host", default=_LOOPBACK, show_default=True, help="Address to listen on; nobody is asked"
    " who they are.",
)  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8501, show_default=True,
    help="Port to listen on; 0 takes a free one.",
)  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Open no browser, also from a terminal.")
def command(
    journal: Path | None, state_dir: Path | None, host: str, port: int, no_browser: bool
) -> None:
    """Open the dashboard: what is decided, why, what it costs, and what would happen if.

    It reads the journal and writes nothing. Ctrl-C ends it.
    """
    if find_spec("streamlit") is None:
        raise ConfigError(
            "the dashboard needs Streamlit, which is not installed",
            hint="pip install 'planner[dashboard]'",
        )
    path = _journal(journal, state_dir)
    port = _free(host, port)
    process = _start(path.absolute(), host, port)
    try:
        _await(process, host, port)
        url = f"http://{_shown(host)}:{port}"
        print_line(f"dashboard at {url}, reading {path}; Ctrl-C ends it")
        if sys.stdout.isatty() and not no_browser:
            import webbrowser

            webbrowser.open(url)
        process.wait()
    except KeyboardInterrupt:
        notice("ended")
    finally:
        _end(process)


def _journal(journal: Path | None, state_dir: Path | None) -> Path:
    given = click.get_current_context().get_parameter_source("journal")
    if state_dir is None:
        return journal or default_journal_path()
    if journal is not None and given is click.core.ParameterSource.COMMANDLINE:
        raise ConfigError(
            f"--journal {journal} and --state-dir {state_dir}: these are two journals",
            hint="name one of them",
        )
    return journal_in(state_dir)


def _free(host: str, port: int) -> int:
    """Return *port*, or a free one for 0; raises ConfigError where *host* and it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"--host {host} --port {port}: {reason[:1].lower()}{reason[1:]}",
            hint="planner dashboard --port 0",
        ) from None


def _start(journal: Path, host: str, port: int) -> "subprocess.Popen[bytes]":
    """Start Streamlit as a child that the kernel ends with this process."""
    import os

    app = resources.files("dashboards") / "app.py"
    options = [*_OPTIONS, f"--server.address={host}", f"--server.port={port}"]
    tied = [sys.executable, "-m", "runtime.process", "--parent", str(os.getpid()), "--"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [*tied, sys.executable, "-m", "streamlit", "run", str(app), *options],
        env={**os.environ, "PLANNER_JOURNAL": str(journal)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def _await(process: "subprocess.Popen[bytes]", host: str, port: int) -> None:
    """Return once the child answers; raises PlannerError where it ends or never does."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((_shown(host), port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise PlannerError("the dashboard did not start", hint="see what it printed above")


def _shown(host: str) -> str:
    return _LOOPBACK if host in _EVERYWHERE else host


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
