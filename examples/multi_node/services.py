"""Frontend and Processor for the first node, Worker for the others."""

import os
import socket
from collections.abc import AsyncIterator

from runtime.http.message import Request, Response
from runtime.http.routes import Routes
from runtime.http.server import HttpServer
from runtime.service import async_on_start, depends, endpoint, on_shutdown, service

NODE = os.environ.get("NODE", socket.gethostname())


@service
class Worker:
    @endpoint
    async def generate(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield f"{word} (by {NODE})"


@service
class Processor:
    """Spreads prompts over the workers, by chance or in turn, whatever they are working on."""

    worker = depends(Worker, strategy=os.environ.get("ROUTER", "round_robin"))

    @endpoint
    async def generate(self, text: str) -> AsyncIterator[str]:
        async for word in self.worker.generate(text.lower()):
            yield word


@service
class Frontend:
    processor = depends(Processor)

    @async_on_start
    async def listen(self) -> None:
        routes = Routes()
        routes.add("POST", "/generate", self.answer)
        self.http = HttpServer(routes)
        await self.http.start(os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"]))

    @on_shutdown
    async def stop(self) -> None:
        await self.http.close()

    async def answer(self, request: Request) -> Response:
        words = [word async for word in self.processor.generate(request.body.decode())]
        return Response(body="".join(f"{word}\n" for word in words).encode())
