"""POST /sleep and /wake on a worker's own server, for whoever is on the same machine."""

from collections.abc import Awaitable, Callable

from runtime.errors import RuntimeFault
from runtime.http.message import HttpRefusal, Request, Response, json_response
from runtime.http.routes import Routes
from workers.sleep import CannotSleep, NotNow

LOOPBACK = ("127.0.0.1", "localhost", "::1")

Act = Callable[[], Awaitable[None]]
"""Raises CannotSleep, NotNow, and what the engine raises."""


def add_control(routes: Routes, *, sleep: Act, wake: Act, host: str) -> None:
    """Answer the two paths, with 403 where other machines reach *host*, which is listened on."""

    def path(act: Act, state: str) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_request: Request) -> Response:
            if host not in LOOPBACK:
                raise HttpRefusal(403, f"not on {host}: other machines reach it")
            await _refusing(act)
            return json_response({"state": state})

        return answer

    routes.add("POST", "/sleep", path(sleep, "sleeping"))
    routes.add("POST", "/wake", path(wake, "ready"))


async def _refusing(act: Act) -> None:
    try:
        await act()
    except CannotSleep as error:
        raise HttpRefusal(501, error.message) from error
    except NotNow as error:
        raise HttpRefusal(409, error.message) from error
    except RuntimeFault as error:
        raise HttpRefusal(500, error.message) from error
