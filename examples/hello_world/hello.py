"""Three services in a chain: Frontend (HTTP) -> Middle -> Backend, in one process.

    python examples/hello_world/hello.py "hello world"

starts them, asks once and prints the answer; without words it serves until Ctrl-C.
"""

import argparse
import asyncio
import sys
import urllib.request
from collections.abc import AsyncIterator

from runtime import DistributedRuntime, RuntimeConfig, run_process
from runtime.http.message import Request, Response
from runtime.http.routes import Routes
from runtime.http.server import HttpServer
from runtime.service import async_on_start, depends, endpoint, on_shutdown, serve_service, service


@service
class Backend:
    @endpoint
    async def generate(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield f"backend {word}"


@service
class Middle:
    backend = depends(Backend)

    @endpoint
    async def generate(self, text: str) -> AsyncIterator[str]:
        async for word in self.backend.generate(f"{text} again"):
            yield f"middle of {word}"


@service
class Frontend:
    middle = depends(Middle)
    port = 0

    @async_on_start
    async def listen(self) -> None:
        routes = Routes()
        routes.add("POST", "/generate", self.answer)
        self.http = HttpServer(routes)
        await self.http.start("127.0.0.1", self.port)

    @on_shutdown
    async def stop(self) -> None:
        await self.http.close()

    async def answer(self, request: Request) -> Response:
        words = [word async for word in self.middle.generate(request.body.decode())]
        return Response(body="".join(f"{word}\n" for word in words).encode())


async def main(options: argparse.Namespace, stop: asyncio.Event) -> int:
    Frontend.port = options.port
    # "memory:" runs discovery and messaging inside this process; etcd:// and nats:// addresses
    # here, and the same classes serve from as many processes as you like.
    config = RuntimeConfig(store_url="memory:", plane_url="memory:")
    async with await DistributedRuntime.connect(config) as runtime:
        served = [await serve_service(runtime, each) for each in (Backend, Middle, Frontend)]
        url = f"http://127.0.0.1:{served[-1].instance.http.port}/generate"
        if options.words:
            print(await asyncio.to_thread(ask, url, " ".join(options.words)), end="")
        else:
            print(f"serving; try: curl {url} -d 'hello world'", flush=True)
            await stop.wait()
        for each in reversed(served):
            await each.close()
    return 0


def ask(url: str, text: str) -> str:
    with urllib.request.urlopen(url, data=text.encode(), timeout=10) as response:
        return response.read().decode()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="ask this once and leave")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser.parse_args()


if __name__ == "__main__":
    options = arguments()
    sys.exit(run_process(lambda stop: main(options, stop)))
