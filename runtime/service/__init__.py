"""Services as classes: endpoints are methods, other services are attributes that look local."""

from runtime.service.declare import async_on_start, endpoint, on_shutdown, service
from runtime.service.dependency import depends
from runtime.service.serve import ServedService, serve_service

__all__ = [
    "ServedService",
    "async_on_start",
    "depends",
    "endpoint",
    "on_shutdown",
    "serve_service",
    "service",
]
