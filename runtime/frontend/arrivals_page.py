"""The page that shows when requests arrived: GET /arrivals."""

import math
from urllib.parse import parse_qs

from runtime.frontend.arrivals import arrivals_document, whole_bins
from runtime.frontend.errors import bad_field
from runtime.frontend.metrics import FrontendMetrics
from runtime.http.message import Request, Response, json_response
from runtime.http.routes import Routes

PATH = "/arrivals"


def add_arrivals(routes: Routes, metrics: FrontendMetrics) -> None:
    """Answer GET /arrivals with the whole bins since ``since``, of one ``model`` or of all."""

    async def arrivals(request: Request) -> Response:
        asked = parse_qs(request.query)
        numbers = whole_bins(since=_since(asked), now=metrics.wall())
        rings = [ring for model in asked.get("model", [None]) for ring in metrics.arrivals(model)]
        return json_response(arrivals_document(rings, numbers))

    routes.add("GET", PATH, arrivals)


def _since(asked: dict[str, list[str]]) -> float | None:
    """Return the moment asked for, in seconds since the epoch; raises ApiError for none such."""
    if "since" not in asked:
        return None
    try:
        since = float(asked["since"][-1])
    except ValueError:
        since = math.nan
    if not math.isfinite(since):
        raise bad_field("since", "is not a number of seconds since the epoch")
    return since
