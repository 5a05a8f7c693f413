"""A study to look at in a browser: the Optuna dashboard of its storage, and our pages beside it under /netwright/."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import quote, unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from netwright.errors import MissingExtra, UserError

from .html import text
from .material import read
from .page import page
from .write import NAME

PLACE = "/netwright/"
_HTML = "text/html; charset=utf-8"
_CORNER = (
    "position:fixed;right:16px;bottom:16px;z-index:2000;padding:6px 12px;border-radius:4px;background:#0b5e93;"
    "color:#fff;font:14px sans-serif;text-decoration:none"
)
_SHOWN = ("text/", "application/json", "image/")
_LOOK = (
    "a { color: var(--blue); } table { margin: 18px 0 26px; }"
    ".files { columns: 4 180px; max-width: 880px; } .files a { display: block; overflow-wrap: anywhere; }"
)
Start = Callable[..., Any]


class Site:
    """A WSGI application for a folder that `fit` writes (or has begun to), a journal file, or a database URL.

    Raises MissingExtra without the dashboard, and UserError where there is no study.
    """

    def __init__(self, study: str) -> None:
        try:
            import optuna
            import optuna_dashboard
        except ImportError as error:
            if error.name in ("optuna", "sqlalchemy"):
                raise MissingExtra("the study storage (optuna)", "search") from None
            raise MissingExtra("the dashboard (optuna-dashboard)", "ui") from None
        from netwright.study.journal import driven, open_storage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        place, self._folder = found(study)
        self._storage, _ = open_storage(driven(place))
        self._title = study
        if not self._storage.get_all_studies():
            raise UserError(f"there is no study in {study}; begin one with `netwright fit --out FOLDER`")
        self._dashboard = optuna_dashboard.wsgi(self._storage)

    def __call__(self, environment: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environment.get("PATH_INFO", "/")
        if path == PLACE.rstrip("/"):
            start("302 Found", [("Location", PLACE), ("Content-Length", "0")])
            return [b""]
        if path.startswith(PLACE):
            status, kind, body = self.page(path.removeprefix(PLACE))
            start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")])
            return [body]
        if path.startswith("/dashboard"):
            return self._linked(environment, start)
        return self._dashboard(environment, start)

    def page(self, name: str) -> tuple[str, str, bytes]:
        """(status, content type, body) of one of our pages: the overview, the report, or a file of the folder."""
        if not name:
            return "200 OK", _HTML, self.overview().encode()
        if name == NAME and self._folder is not None:
            try:
                return "200 OK", _HTML, _with_link(page(read(self._folder))).encode()
            except UserError as error:
                return "404 Not Found", _HTML, _document("No report yet", _no_report(error)).encode()
        if unquote(name) in self.files():
            assert self._folder is not None
            kind = mimetypes.guess_type(name)[0] or "text/plain; charset=utf-8"
            body = (self._folder / unquote(name)).read_bytes()
            if b"\x00" in body[:4096]:
                kind = "application/octet-stream"
            return "200 OK", kind if kind.startswith(_SHOWN) else "application/octet-stream", body
        return "404 Not Found", _HTML, _document("Not there", f"<p>{text(name)}: no such page.</p>"
                                                                      ).encode()

    def files(self) -> list[str]:
        """What the folder holds, but for the log and what is hidden."""
        if self._folder is None:
            return []
        names = (p.name for p in self._folder.iterdir() if p.is_file() and p.name != NAME)
        return sorted(n for n in names if not n.startswith((".", "study.journal")))

    def overview(self) -> str:
        """The studies with how far they are, the report, and the files."""
        rows = "".join(self._row(study) for study in self._storage.get_all_studies())
        body = (
            "<table><tr><th>study</th><th>objectives</th><th class=n>finished</th><th class=n>failed</th>"
            f"<th class=n>running or cut off</th><th class=n>best</th></tr>{rows}</table>"
        )
        if self._folder is not None and (self._folder / "result.json").is_file():
            body += f'<p class="verdict"><a href="{NAME}">The report</a> of the network that was found.</p>'
        elif self._folder is not None:
            body += "<p>The report is here when the search, the training and the test have ended.</p>"
        files = "".join(f'<a href="{quote(name)}">{text(name)}</a>' for name in self.files())
        return _document(self._title, body + (f'<h3>Files</h3><nav class="files">{files}</nav>' if files else ""))

    def _row(self, study: Any) -> str:
        trials = self._storage.get_all_trials(study._study_id, deepcopy=False)
        states = Counter(trial.state.name for trial in trials)
        names = study.system_attrs.get("study:metric_names") or [""] * len(study.directions)
        objectives = ", ".join(f"{d.name.lower()} {n}".strip() for d, n in zip(study.directions, names))
        values = [t.values[0] for t in trials if t.state.name == "COMPLETE" and len(t.values) == 1]
        single = len(study.directions) == 1 and values
        best = (max if study.directions[0].name == "MAXIMIZE" else min)(values) if single else None
        shown = "" if best is None else f"{best:.5g}"
        return (
            f'<tr><td><a href="/dashboard/studies/{study._study_id}">{text(study.study_name)}</a></td>'
            f"<td>{text(objectives)}</td><td class=n>{states['COMPLETE']:,}</td><td class=n>{states['FAIL']:,}</td>"
            f"<td class=n>{states['RUNNING']:,}</td><td class=n>{shown}</td></tr>"
        )

    def _linked(self, environment: dict[str, Any], start: Start) -> Iterable[bytes]:
        """A page of the dashboard, with a link to ours in its corner."""
        kept: list[Any] = []
        whole = {k: v for k, v in environment.items() if k not in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH",
                                                                   "HTTP_RANGE")}  # fmt: skip
        answer = self._dashboard(whole, lambda status, headers, *_: kept.extend((status, headers)))
        body = b"".join(answer)
        link = f'<a href="{PLACE}" style="{_CORNER}">netwright report</a></body>'
        body = body.replace(b"</body>", link.encode())
        changed = ("content-length", "etag", "last-modified", "accept-ranges")
        headers = [(name, value) for name, value in kept[1] if name.lower() not in changed]
        start(kept[0], [*headers, ("Content-Length", str(len(body)))])
        return [body]


def found(study: str) -> tuple[str, Path | None]:
    """(storage, folder of the report) of what the user named."""
    if "://" in study:
        return study, None
    path = Path(study)
    if path.is_dir() and (path / "study.journal").is_file():
        return str(path / "study.journal"), path
    if path.is_file():
        return str(path), path.parent
    what = "holds no study (no study.journal)" if path.is_dir() else "is not there"
    raise UserError(f"{study} {what}; give a folder that `netwright fit` wrote, or a storage URL")


def serve(site: Site, host: str, port: int) -> WSGIServer:
    """A server that listens; `serve_forever` answers. Raises UserError when the address cannot be had."""
    try:
        return make_server(host, port, site, server_class=_Threads, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot listen on {host}:{port}: {reason}; choose another --port or --host") from None


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *values: Any) -> None:
        pass


def _document(title: str, body: str) -> str:
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><title>{text(title)} · netwright</title>\n<style>\n{style}{_LOOK}</style></head>\n'
        f'<body><main><p class="eyebrow">netwright study · <a href="/dashboard">Optuna dashboard</a></p>'
        f"<h1>{text(title)}</h1>\n{body}</main></body></html>\n"
    )


def _no_report(error: UserError) -> str:
    return f'<p>{text(error)}</p><p><a href="{PLACE}">Back to the study</a></p>'


def _with_link(report: str) -> str:
    plain = 'style="color:inherit"'
    links = f'<a href="{PLACE}" {plain}>study</a> · <a href="/dashboard" {plain}>Optuna dashboard</a>'
    line = f'<p class="eyebrow" style="float:right">{links}</p>'
    return report.replace("<body><main>\n", f"<body><main>\n{line}", 1)
