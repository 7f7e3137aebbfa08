"""The server of the playground: which addresses there are, who may ask, and what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multigan.errors import UserError
from multigan.playground.library import Library, known
from multigan.version import __version__

if TYPE_CHECKING:
    from multigan.playground.explorer import Explorer
    from multigan.playground.plane import Plane
    from multigan.playground.runs import Runs

T = TypeVar("T")

STATIC = Path(__file__).parent / "static"
LOADED = 4  # models in memory, at most
LARGEST = 64 * 2**20  # bytes of a request
HEADERS = {
    # Nothing is loaded from other hosts, and no other site shows or reads these pages.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Guard:
    """Answers this machine's pages alone.

    A site that makes its own name point here (DNS rebinding) is known by the Host header, and one that sends its
    visitors' requests here by their Origin. What changes something is JSON, which other sites may not send.

    Args:
        app: What is guarded.
        host: The name that the server was given; addresses and localhost are good anyway.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.names = {host.lower(), "localhost", socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        problem = self.problem(Request(scope))
        app = self.app if problem is None else PlainTextResponse(problem, 403)
        await app(scope, receive, with_headers)

    def problem(self, request: Request) -> str | None:
        """Why a request is refused; None if it is not."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        try:
            name, source = urlsplit(f"//{host}").hostname, None if origin is None else urlsplit(origin).netloc
        except ValueError:
            return "no such host"
        if not self.is_here(name or ""):
            return f"this server is not {host}"
        if source is not None and source != host:
            return f"requests from {origin} are refused"
        # A picture or a script that another site asks for has no origin; a link to the first page is none of those.
        if request.url.path != "/" and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return "requests from other sites are refused"
        if request.method != "GET":
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                return "expected JSON"
            if int(request.headers.get("content-length") or LARGEST + 1) > LARGEST:
                return f"a request has {LARGEST >> 20} MiB at most"
        return None

    def is_here(self, name: str) -> bool:
        """Whether a name is an address, which no site can make its own, or one of this machine's names."""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self.names
        return True


class Playground:
    """What each address answers.

    Models are used by one thread, in turn, which also is the first to import torch: the server answers meanwhile.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.worker = ThreadPoolExecutor(1, "models")
        self.explorers: dict[tuple[str, float], Explorer] = {}
        self.planes: dict[str, Plane] = {}
        self._runs: Runs | None = None
        self._opening = threading.Lock()

    @property
    def runs(self) -> Runs:
        """Imported late: the first page needs no settings of runs."""
        from multigan.playground.runs import Runs

        with self._opening:
            self._runs = self._runs or Runs(self.library)
        return self._runs

    def explorer(self, name: Any) -> Explorer:
        """A model, loaded again once there is a newer one in its folder."""
        from multigan.generation.model_folder import WEIGHTS
        from multigan.playground.explorer import Explorer

        folder = known(self.library.models(), name)
        key = name, (folder / WEIGHTS).stat().st_mtime if (folder / WEIGHTS).is_file() else 0.0
        if key not in self.explorers:
            loaded = Explorer(name, folder, self.library.modality_for(folder))
            others = [(other, one) for other, one in self.explorers.items() if other[0] != name]
            self.explorers = dict([*others, (key, loaded)][-LOADED:])
        return self.explorers[key]

    async def on_models(self, work: Callable[[], T]) -> T:
        """Do something in the thread of the models."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, work)

    def warm_up(self) -> None:
        """Import what the first sample needs, once the first page is there."""

        def load() -> None:
            import multigan.playground.explorer
            import multigan.playground.runs  # noqa: F401

        self.worker.submit(load)

    # --- models ---

    async def index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def list_models(self, request: Request) -> Response:
        rows = await run_in_threadpool(self.library.described)
        found = {"version": __version__, "models": rows, "runs": list(await run_in_threadpool(self.library.runs))}
        return JSONResponse(found, background=BackgroundTask(self.warm_up))

    async def describe(self, request: Request) -> Response:
        name = request.query_params.get("id")
        return JSONResponse(await self.on_models(lambda: self.explorer(name).describe()))

    async def directions(self, request: Request) -> Response:
        name, label = request.query_params.get("id"), request.query_params.get("label") or None
        while not await self.on_models(lambda: self.explorer(name).probe(label)):
            if await request.is_disconnected():  # others had their turn meanwhile, and may have it all
                return Response()
        found = await self.on_models(lambda: self.explorer(name).directions(label))
        return JSONResponse({"shares": found.shares})

    async def draw(self, request: Request) -> Response:
        values = await body(request)

        def work() -> list[dict[str, Any]]:
            from multigan.playground.explorer import requested

            return self.explorer(values.get("id")).draw(requested(values.get("request", {})))

        return JSONResponse(await self.on_models(work))

    async def translate(self, request: Request) -> Response:
        values = await body(request)

        def work() -> list[dict[str, Any]]:
            from multigan.playground.explorer import requested

            return self.explorer(values.get("id")).translate(values, requested(values.get("request", {})))

        return JSONResponse(await self.on_models(work))

    # --- runs ---

    async def list_runs(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(lambda: self.runs.summaries()))

    async def watch(self, request: Request) -> Response:
        name = request.query_params.get("id", "")
        return JSONResponse(await run_in_threadpool(lambda: self.runs.detail(name)))

    async def preview(self, request: Request) -> Response:
        name, file = request.query_params.get("run", ""), request.query_params.get("file", "")
        return FileResponse(await run_in_threadpool(lambda: self.runs.preview(name, file)))

    async def form(self, request: Request) -> Response:
        modality = request.query_params.get("modality", "image")
        return JSONResponse(await run_in_threadpool(lambda: self.runs.form(modality)))

    async def change(self, request: Request) -> Response:
        """Start, stop or resume a run."""
        action, values = request.path_params["action"], await body(request)
        name = str(values.get("id", ""))

        def work() -> str:
            given, steps = values.get("settings") or {}, values.get("steps")
            if not isinstance(given, dict) or not isinstance(steps, int | None):
                raise UserError("settings are an object, and steps a whole number")
            if action == "start":
                settings = {str(key): str(value) for key, value in given.items()}
                return self.runs.start(str(values.get("modality")), str(values.get("name")), settings)
            if action == "resume":
                self.runs.resume(name, steps)
            else:
                self.runs.stop(name)
            return name

        return JSONResponse({"id": await run_in_threadpool(work)})

    # --- points in the plane ---

    async def plane(self, request: Request) -> Response:
        name, step = request.query_params.get("id", ""), request.query_params.get("step")

        def work() -> dict[str, Any]:
            from multigan.playground.plane import Plane, rounded

            if name not in self.planes:
                folder = known(self.library.runs(), name)
                self.planes[name] = Plane(folder, self.library.modality_for(folder / "model"))
                self.planes = dict([*self.planes.items()][-LOADED:])
            plane = self.planes[name]
            if not plane.in_plane:
                return {}
            if step is None:
                bounds = [rounded(plane.low), rounded(plane.high)]
                return {"steps": plane.steps(), "real": rounded(plane.real), "bounds": bounds}
            if not step.isdecimal() or int(step) not in plane.known:
                raise LookupError(f"there is no checkpoint of step {step}")
            return plane.known[int(step)]

        return JSONResponse(await self.on_models(work))

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self.worker.shutdown(wait=False, cancel_futures=True)
        await run_in_threadpool(self.close)

    def close(self) -> None:
        """Stop the trainings that were started here, and say how they ended; once."""
        runs, self._runs = self._runs, None
        for last_words in runs.close() if runs is not None else ():
            with contextlib.suppress(OSError):  # of a terminal that is closed
                print(last_words, flush=True)


async def body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        UserError: It has none.
    """
    try:
        values = await request.json()
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise UserError("a request is a JSON object")
    return values


def build(library: Library, host: str = "127.0.0.1") -> Starlette:
    """The application."""
    site = Playground(library)
    pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/": site.index,
        "/api/models": site.list_models,
        "/api/model": site.describe,
        "/api/directions": site.directions,
        "/api/runs": site.list_runs,
        "/api/run": site.watch,
        "/api/form": site.form,
        "/api/plane": site.plane,
        "/preview": site.preview,
    }
    changes = {"/api/draw": site.draw, "/api/translate": site.translate, "/api/runs/{action:str}": site.change}

    def problem(status: int) -> Callable[[Request, Exception], Response]:
        return lambda request, error: JSONResponse({"error": str(error.args[0] if error.args else error)}, status)

    application = Starlette(
        routes=[
            *(Route(path, handler) for path, handler in pages.items()),
            *(Route(path, handler, methods=["POST"]) for path, handler in changes.items()),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, host=host)],
        exception_handlers={UserError: problem(422), LookupError: problem(404)},
        lifespan=site.lifespan,
    )
    application.state.site = site
    return application


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: The port is in use, or there is no such address.
    """
    found = None
    try:
        found = socket.socket(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0])
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen()
    except (OSError, OverflowError) as error:
        if found is not None:
            found.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen on {host}, port {port}: {reason}; --port chooses another, and 0 a free one"
        ) from error
    return found


def serve(library: Library, host: str, port: int, open_browser: bool, say: Callable[[str], object]) -> None:
    """Serve until Ctrl-C.

    Args:
        library: What is offered.
        host: Where to listen.
        port: Where to listen; 0 for a free one.
        open_browser: Whether to show the page.
        say: Called with lines for the user.

    Raises:
        UserError: As `listen`.
    """
    # A terminal that is closed ends the playground as Ctrl-C does, or its trainings would go on unseen.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGINT))
    with listen(host, port) as opened:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{opened.getsockname()[1]}/"
        say(f"playground: {address} (Ctrl-C ends it)")
        if not ipaddress.ip_address(opened.getsockname()[0].partition("%")[0]).is_loopback:
            say("warning: whoever reaches this address can explore these models and start trainings on this machine")
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        application = build(library, host)
        try:
            uvicorn.Server(uvicorn.Config(application, log_level="warning")).run(sockets=[opened])
        except KeyboardInterrupt:  # which uvicorn passes on once it has ended
            with contextlib.suppress(OSError):
                say("")
        finally:  # a second Ctrl-C has it leave out what it does at its end
            application.state.site.close()
