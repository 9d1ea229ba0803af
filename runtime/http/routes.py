"""Which handler answers which path."""

from runtime.http.connection import Handler
from runtime.http.message import HttpRefusal, Request, Response, StreamWriter


class Routes:
    """A handler that passes each request on by path and method."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, Handler]] = {}
        self._below: dict[str, dict[str, Handler]] = {}

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Let *handler* answer *path*; a final ``*`` stands for a rest, given as `Request.tail`.

        A GET handler answers HEAD too.
        """
        table = self._below if path.endswith("*") else self._exact
        methods = table.setdefault(path.removesuffix("*"), {})
        methods[method] = handler
        if method == "GET":
            methods["HEAD"] = handler

    async def __call__(self, request: Request) -> Response | StreamWriter:
        """Return the answer; raises HttpRefusal 404 or 405."""
        methods = self._find(request)
        if methods is None:
            raise HttpRefusal(404, f"there is no {request.path}")
        handler = methods.get(request.method)
        if handler is None:
            allowed = ", ".join(sorted(methods))
            message = f"{request.method} is not allowed for {request.path}, only {allowed}"
            raise HttpRefusal(405, message, headers=[("allow", allowed)])
        return await handler(request)

    def _find(self, request: Request) -> dict[str, Handler] | None:
        exact = self._exact.get(request.path)
        if exact is not None:
            return exact
        for prefix, methods in self._below.items():
            if request.path.startswith(prefix) and len(request.path) > len(prefix):
                request.tail = request.path[len(prefix) :]
                return methods
        return None
