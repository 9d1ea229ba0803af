"""Drives Debian's chromium by its debugging protocol: no package beside aiohttp is needed."""

import asyncio
import base64
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_START_SECONDS = 30.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-dev-shm-usage", "--disable-extensions",
    "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


def find_chromium() -> str | None:
    """Return the browser of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab. *problems* are errors of its console and exceptions that nobody caught."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def prepare(self) -> None:
        for domain in ("Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    async def send(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        return await asyncio.wait_for(answer, _START_SECONDS)

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                        deviceScaleFactor=1, mobile=width < 500)  # fmt: skip
        scheme = "dark" if dark else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = 60.0) -> None:
        """Wait until *expression* is true in the page."""
        async with asyncio.timeout(seconds):
            while not await self.evaluate(expression):  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.1)

    async def click(self, x: float, y: float) -> None:
        """Press and let go of the left button there."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = "none" if kind == "mouseMoved" else "left"
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button,
                            clickCount=0 if kind == "mouseMoved" else 1)  # fmt: skip

    async def picture(self, path: Path) -> None:
        """Write what the page shows."""
        shot = await self.send("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            answer = self._answers.pop(told.get("id"), None)
            if answer is not None and not answer.done():
                answer.set_result(told.get("result", {}))
            self._note(told.get("method"), told.get("params", {}))

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            texts = [str(one.get("value", one.get("description"))) for one in params["args"]]
            self.problems.append(" ".join(texts))


@asynccontextmanager
async def opened_page(profile: Path) -> AsyncIterator[Page]:
    """Yield a blank page of a browser of its own, which ends with this."""
    program = find_chromium()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, *_FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)}, start_new_session=True,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as session:
            address = await _address(session, profile)
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                await page.prepare()
                try:
                    yield page
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        await page.send("Browser.close")
                finally:
                    await page.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()


async def _address(session: aiohttp.ClientSession, profile: Path) -> str:
    """Return where the first tab is to be talked to, once the browser says so."""
    told = profile / "DevToolsActivePort"
    async with asyncio.timeout(_START_SECONDS):
        while not (told.exists() and told.read_text().strip()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        port = told.read_text().splitlines()[0]
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                tabs = [
                    tab for tab in await answer.json(content_type=None) if tab["type"] == "page"
                ]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)
