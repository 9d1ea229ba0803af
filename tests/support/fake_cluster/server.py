"""An API server in memory, as far as the connector uses one, with faults to switch on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from fake_cluster.controllers import reconcile
from fake_cluster.store import Change, Json, Refusal, Store, json_patched, labels_fit, merged

_SCALED = frozenset({"deployments", "statefulsets", "leaderworkersets"})
_BOOKMARK_SECONDS = 0.2
_HOST = "127.0.0.1"


@dataclass
class Faults:
    """What goes wrong from here on."""

    is_down: bool = False
    conflict_every: int = 0
    """Every so many writes of a scale, somebody else touches the object just before."""
    busy: int = 0
    """So many requests are answered 429 with Retry-After."""
    retry_after: str = "0"
    forbidden: set[str] = field(default_factory=set)
    """Plurals that may not be read."""
    deaf: bool = False
    """Watches stay open and tell nothing."""


class FakeApiServer:
    """Serves on *url*; *writes* lists what was asked of scale subresources, *log* all requests."""

    def __init__(self) -> None:
        self.store = Store()
        self.faults = Faults()
        self.log: list[tuple[str, str]] = []
        self.scale_writes: list[tuple[str, int]] = []
        self.url = ""
        self.minor = "33+"
        self._scale_tries = 0
        self._owners: dict[str, tuple[str, str]] = {}
        self._owned: dict[str, dict[str, str]] = {}
        self._watches: set[asyncio.Transport] = set()
        self._runner: web.AppRunner | None = None
        self.store.listeners.append(self._reconcile)

    async def start(self) -> None:
        app = web.Application(middlewares=[self._answered])
        app.router.add_get("/version", self._version)
        base = r"/namespaces/{ns}/{plural}"
        for prefix in ("/api/v1", r"/apis/{group}/{version}"):
            app.router.add_route("*", prefix + base, self._collection)
            app.router.add_route("*", prefix + base + "/{name}", self._object)
            app.router.add_route("*", prefix + base + "/{name}/{sub}", self._sub)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, 0)
        await site.start()
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        self.cut_watches()
        if self._runner is not None:
            await self._runner.cleanup()

    def cut_watches(self) -> None:
        """Break every connection that a watch is on."""
        for transport in list(self._watches):
            transport.abort()

    def go_down(self) -> None:
        self.faults.is_down = True
        self.cut_watches()

    def come_up(self) -> None:
        self.faults.is_down = False

    @web.middleware
    async def _answered(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.log.append((request.method, request.path_qs))
        if self.faults.is_down:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=503)
        try:
            self._admit(request)
            return await handler(request)
        except Refusal as refusal:
            headers = {"Retry-After": self.faults.retry_after} if refusal.status == 429 else None
            return web.json_response(refusal.body(), status=refusal.status, headers=headers)

    def _admit(self, request: web.Request) -> None:
        if self.faults.busy:
            self.faults.busy -= 1
            raise Refusal(429, "TooManyRequests")
        if request.match_info.get("plural") in self.faults.forbidden:
            raise Refusal(403, "Forbidden", f"{request.path} is forbidden")

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": self.minor})

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        selector = request.query.get("labelSelector", "")
        if request.method == "POST":
            return web.json_response(self.store.create(request.path, await request.json()))
        if request.query.get("watch"):
            return await self._watch(request, selector)
        return web.json_response({
            "kind": "List",
            "metadata": {"resourceVersion": str(self.store.version)},
            "items": self.store.list(request.path, selector),
        })  # fmt: skip

    async def _object(self, request: web.Request) -> web.Response:
        path, _, name = request.path.rpartition("/")
        if request.method == "GET":
            return web.json_response(self.store.get(path, name))
        if request.method == "PUT":
            return web.json_response(self.store.update(path, name, await request.json()))
        if request.method == "PATCH":
            item = _patched(self.store.get(path, name), await request.json(), request.content_type)
            return web.json_response(self.store.update(path, name, item))
        body = await request.json() if request.can_read_body else {}
        return web.json_response(self.delete(path, name, body.get("gracePeriodSeconds")))

    def delete(self, path: str, name: str, grace: int | None = None) -> Json:
        """Delete as the API server does: a pod on a node is only asked to end."""
        item = self.store.get(path, name)
        if path.endswith("/pods") and item["spec"].get("nodeName") and grace != 0:
            item["metadata"] |= {"deletionTimestamp": "now", "deletionGracePeriodSeconds": 30}
            return self.store.update(path, name, item)
        self.store.remove(path, name)
        return item

    async def _sub(self, request: web.Request) -> web.Response:
        collection, name, sub = request.path.rsplit("/", 2)
        item = self.store.get(collection, name)
        if sub == "scale" and request.match_info["plural"] in _SCALED:
            return await self._scale(request, collection, item)
        if sub == "binding" and request.method == "POST":
            item["spec"]["nodeName"] = (await request.json())["target"]["name"]
        elif sub == "status" and request.method == "PATCH":
            item = _patched(item, await request.json(), request.content_type)
        else:
            raise Refusal(404, "NotFound")
        return web.json_response(self.store.update(collection, name, item))

    async def _scale(self, request: web.Request, path: str, item: Json) -> web.Response:
        if request.method == "GET":
            return web.json_response(_scale_of(item))
        self._scale_tries += 1
        every = self.faults.conflict_every
        if every and self._scale_tries % every == 0:
            item.setdefault("status", {})["observedGeneration"] = self.store.version
            item = self.store.update(path, item["metadata"]["name"], item)
        asked = await request.json()
        if request.method == "PATCH":
            asked = _patched(_scale_of(item), asked, request.content_type)
        replicas = asked["spec"].get("replicas", 0)
        if replicas < 0:
            raise Refusal(422, "Invalid", "spec.replicas: must be greater than or equal to 0")
        item["spec"]["replicas"] = replicas
        item["metadata"]["resourceVersion"] = asked["metadata"].get("resourceVersion", "")
        written = self.store.update(path, item["metadata"]["name"], item)
        self.scale_writes.append((item["metadata"]["name"], replicas))
        return web.json_response(_scale_of(written))

    async def _watch(self, request: web.Request, selector: str) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or 0)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        assert request.transport is not None
        self._watches.add(request.transport)
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        for change in self.store.history:
            if change.version > since and change.path == request.path:
                queue.put_nowait(change)
        self.store.watchers.add(queue)
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", 60))):
                await self._follow(response, request.path, selector, since, queue)
        except (TimeoutError, ConnectionError):
            pass  # its time is over, or nobody listens any longer
        finally:
            self.store.watchers.discard(queue)
            self._watches.discard(request.transport)
        return response

    async def _follow(
        self,
        response: web.StreamResponse,
        path: str,
        selector: str,
        since: int,
        queue: "asyncio.Queue[Change | None]",
    ) -> None:
        if since < self.store.compacted:
            gone = Refusal(410, "Expired", "too old resource version")
            await response.write(_line("ERROR", gone.body()))
            return
        while True:
            try:
                change = await asyncio.wait_for(queue.get(), _BOOKMARK_SECONDS)
            except TimeoutError:
                mark = {"metadata": {"resourceVersion": str(self.store.version)}}
                if not self.faults.deaf and queue.empty():
                    await response.write(_line("BOOKMARK", mark))
                continue
            if change is None or change.path != path or change.version <= since or self.faults.deaf:
                continue
            line = _change_line(change, selector)
            if line:
                await response.write(line)

    def owned(self, uid: str) -> list[Json]:
        """Return the pods that the workload *uid* controls."""
        return [self.store.get(path, name) for name, path in self._owned.get(uid, {}).items()]

    def _reconcile(self, change: Change) -> None:
        item = change.after or change.before
        assert item is not None
        if change.path.endswith("/pods"):
            for owner in item["metadata"].get("ownerReferences") or ():
                names = self._owned.setdefault(owner["uid"], {})
                names.pop(item["metadata"]["name"], None)
                if change.after is not None:
                    names[item["metadata"]["name"]] = change.path
                if owner["uid"] in self._owners:
                    self._reconcile_one(*self._owners[owner["uid"]])
        elif change.path.rpartition("/")[2] in _SCALED:
            self._owners[item["metadata"]["uid"]] = change.path, item["metadata"]["name"]
            self._reconcile_one(change.path, item["metadata"]["name"])

    def _reconcile_one(self, path: str, name: str) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(reconcile, self, path, name)


def _scale_of(item: Json) -> Json:
    meta = {k: item["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
    replicas = item["spec"].get("replicas", 1)
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta}
    return scale | {"spec": {"replicas": replicas}, "status": {"replicas": replicas}}


def _patched(item: Json, patch: object, content: str) -> Json:
    if content == "application/json-patch+json":
        assert isinstance(patch, list)
        return json_patched(item, patch)
    result: Json = merged(item, patch)
    return result


def _change_line(change: Change, selector: str) -> bytes | None:
    was, now = labels_fit(change.before, selector), labels_fit(change.after, selector)
    if not was and not now:
        return None
    item = dict(change.after if now else change.before or {})
    if not now:
        item["metadata"] = {**item["metadata"], "resourceVersion": str(change.version)}
    return _line("ADDED" if not was else "MODIFIED" if now else "DELETED", item)


def _line(kind: str, item: Json) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"
