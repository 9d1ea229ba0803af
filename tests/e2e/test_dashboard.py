"""`planner dashboard` in Debian's chromium: every page, wide and on a phone, full and bare.

With PLANNER_PICTURES=docs/images it writes the pictures that the guide shows.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import Page, find_chromium, opened_page

from planner.journal import Journal

pytest.importorskip("streamlit", reason="the dashboard extra is not installed")
Image = pytest.importorskip("PIL.Image", reason="the dashboard extra is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(find_chromium() is None, reason="no chromium: apt-get install chromium"),
]

_ROOT = Path(__file__).parents[2]
# By their address, with the charts that each has of a filled journal.
_PAGES = {"": 7, "decisions": 2, "forecast": 6, "capacity": 3, "what-if": 3, "cost": 2, "health": 1}
_WIDTHS = (1280, 390)
_DECISIONS = 1500
_TALLEST = 2400
# Pixels of a table: to the middle of its first column, and the height of a row.
_CHECKBOX, _ROW = 18, 35
# Streamlit asks for these beside the address of a page, too, to find its own base path.
_PROBED = ("_stcore/health", "_stcore/host-config")

_IS_DRAWN = (
    "document.querySelectorAll('h1').length > 0"
    " && !document.querySelector('[data-testid=stSkeleton]')"
    " && !document.querySelector('[data-stale=true]')"
)
_CHARTS = "document.querySelectorAll('.vega-embed canvas, .vega-embed svg.marks').length"
_FIND = "document.querySelector('.st-key-foresight button')"
_OVERFLOW = (
    "Math.max(...[document.documentElement,"
    " document.querySelector('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth))"
)
_BACKGROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
_TALL = (
    "document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect().height"
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "journal.sqlite"
    program = _ROOT / "benchmarks" / "dashboard_journal.py"
    subprocess.run([sys.executable, str(program), "make", str(path), str(_DECISIONS)], check=True)
    return path


@contextmanager
def dashboard(journal: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Yield the address of a dashboard of its own, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "planner", "dashboard", "--journal", str(journal), "--port", "0"],
        stdout=subprocess.PIPE, text=True, cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith("dashboard at http://127.0.0.1:"), told
        yield told.split()[2].rstrip(","), process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


async def _opened(page: Page, url: str, *, width: int, dark: bool, drawn: str) -> None:
    await page.resize(width, 1000, dark=dark)
    await page.open(url)
    await page.until(drawn)
    tall = await page.evaluate(_TALL)
    await page.resize(width, min(_TALLEST, round(tall)), dark=dark)
    await page.until(drawn)


def _problems(page: Page) -> list[str]:
    found = [told for told in page.problems if not told.rstrip().endswith(_PROBED)]
    page.problems.clear()
    return found


def _shrink(picture: Path) -> None:
    """Make a picture a third as large: it has few colours."""
    with Image.open(picture) as opened:
        opened.quantize(64).save(picture, optimize=True)


async def _keep(page: Page, name: str, folder: Path) -> None:
    taken = folder / name
    await page.picture(taken)
    await asyncio.to_thread(_shrink, taken)
    wanted = os.environ.get("PLANNER_PICTURES")
    if wanted:
        shutil.copy(taken, _ROOT / wanted / name)


async def test_pages_of_a_journal(filled: Path, tmp_path: Path) -> None:
    with dashboard(filled) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            for name, charts in _PAGES.items():
                drawn = f"{_IS_DRAWN} && {_CHARTS} >= {charts}"
                for width in _WIDTHS:
                    address = f"{url}/{name}"
                    await _opened(page, address, width=width, dark=False, drawn=drawn)
                    assert await page.evaluate(_OVERFLOW) <= 0, (name, width)
                    assert not _problems(page), (name, width)
                    picture = f"dashboard-{name or 'overview'}-{width}.png"
                    await _keep(page, picture, tmp_path)
            await _opened(page, url, width=1280, dark=True, drawn=f"{_IS_DRAWN} && {_CHARTS} >= 7")
            await _keep(page, "dashboard-overview-dark.png", tmp_path)
            red, green, blue = (await page.evaluate(_BACKGROUND))[4:-1].split(", ")
            assert max(int(red), int(green), int(blue)) < 64
            assert not _problems(page)


async def test_foresight_is_searched_for_between_two_refreshes(
    filled: Path, tmp_path: Path
) -> None:
    with dashboard(filled) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            drawn = f"{_IS_DRAWN} && {_CHARTS} >= 2 && !!{_FIND}"
            await _opened(page, f"{url}/cost", width=1280, dark=False, drawn=drawn)
            place = f"{_FIND}.getBoundingClientRect()"
            left, top = [await page.evaluate(f"{place}.{side}") for side in ("left", "top")]
            await page.click(left + 20, top + 20)
            found = "document.body.innerText.includes('foresight buys just what')"
            await page.until(f"{found} && {_CHARTS} >= 3")
            # It outlives the page's own refreshing, which comes every five seconds.
            await asyncio.sleep(6)
            assert await page.evaluate(found)
            assert await page.evaluate(_OVERFLOW) <= 0
            assert not _problems(page)
            await page.resize(1280, min(_TALLEST, round(await page.evaluate(_TALL))))
            await page.until(f"{_IS_DRAWN} && {_CHARTS} >= 3")
            await _keep(page, "dashboard-cost-foresight.png", tmp_path)


async def test_pages_of_a_bare_journal(tmp_path: Path) -> None:
    bare = tmp_path / "journal.sqlite"
    Journal.open(bare).close()
    with dashboard(bare) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            for name in _PAGES:
                for width in _WIDTHS:
                    address = f"{url}/{name}"
                    await _opened(page, address, width=width, dark=False, drawn=_IS_DRAWN)
                    assert await page.evaluate(_OVERFLOW) <= 0, (name, width)
                    assert not _problems(page), (name, width)
            told = await page.evaluate("document.body.innerText")
            assert "planner run --observe" in told


async def test_a_what_if_that_was_shared(filled: Path, tmp_path: Path) -> None:
    with dashboard(filled) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            address = f"{url}/what-if?rate=12&a_cold=120&frontier=true&price=3.5"
            drawn = _IS_DRAWN + " && document.body.innerText.includes('--cold-start 2m')"
            await _opened(page, address, width=1280, dark=False, drawn=f"{drawn} && {_CHARTS} >= 3")
            assert not _problems(page)


async def test_new_decisions_come_by_themselves_and_move_nothing(
    filled: Path, tmp_path: Path
) -> None:
    own = tmp_path / "journal.sqlite"
    shutil.copy(filled, own)
    with dashboard(own) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            await page.resize(1280, 800)
            await page.open(url)
            await page.until(f"{_IS_DRAWN} && {_CHARTS} >= 7")
            await page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 700)")
            with Journal.open(own) as journal:
                last = journal.get(_DECISIONS)
                number = journal.append(last.run, replace(last.entry, at=last.entry.at + 5))
            await page.until(f"document.body.innerText.includes('Decision {number} at')")
            assert (
                await page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop")
                == 700
            )
            assert not _problems(page)


async def test_a_selected_decision_is_explained(filled: Path, tmp_path: Path) -> None:
    with dashboard(filled) as (url, _):
        async with opened_page(tmp_path / "browser") as page:
            drawn = (
                f"{_IS_DRAWN} && {_CHARTS} >= 2"
                " && !!document.querySelector('[data-testid=stDataFrame] canvas')"
            )
            await _opened(page, f"{url}/decisions", width=1280, dark=False, drawn=drawn)
            place = "document.querySelector('[data-testid=stDataFrame]').getBoundingClientRect()"
            left, top = [await page.evaluate(f"{place}.{side}") for side in ("left", "top")]
            await page.click(left + _CHECKBOX, top + _ROW * 3.5)
            third = _DECISIONS - 2
            await page.until(f"document.body.innerText.includes('Decision {third}')")
            assert not _problems(page)


def test_it_ends_with_its_command(filled: Path) -> None:
    with dashboard(filled) as (url, process):
        port = int(url.rpartition(":")[2])
        process.kill()
        process.wait(10)
        deadline = time.monotonic() + 15
        while _answers(port):
            assert time.monotonic() < deadline, "the page outlives its command"
            time.sleep(0.1)


def test_interrupting_it_is_how_it_ends(filled: Path) -> None:
    with dashboard(filled) as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
