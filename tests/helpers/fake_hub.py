"""A Hugging Face hub on this machine: as much of its protocol as `huggingface_hub` and `datasets` speak to fetch files.

Clients come here by `HF_ENDPOINT`. What they ask is recorded, so that a test can say what was downloaded, how often.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/(.+))?)?")
RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass(frozen=True)
class Repository:
    """The files below `directory` at one commit, which the branch `main` names too."""

    directory: Path
    commit: str
    gated: bool = False  # its files are for those who accepted a licence; what there is, anyone may know

    def has(self, revision: str) -> bool:
        return revision in ("main", self.commit)

    def listing(self, below: str, recursive: bool) -> list[dict] | None:
        """What is below a folder; None where there is no such folder."""
        folder = self.directory / below
        found = folder.rglob("*") if recursive else folder.glob("*")
        return [self._entry(path) for path in sorted(found)] if folder.is_dir() else None

    def _entry(self, path: Path) -> dict:
        name = str(path.relative_to(self.directory))
        if path.is_dir():
            return {"type": "directory", "path": name, "oid": "0" * 40}
        return {"type": "file", "path": name, "oid": content_id(path), "size": path.stat().st_size}


def content_id(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


class FakeHub:
    """A context manager: within it `endpoint` is served."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []  # method and path, in the order they came
        self.repositories: dict[tuple[str, str], Repository] = {}  # by kind (models, datasets) and name
        self.breaks_off: set[str] = set()  # files whose downloads end before their last byte
        self.may_send = threading.Event()  # while it is not set, downloads hang
        self.may_send.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, method: str) -> Counter[str]:
        """How often clients asked for each file: for its description (HEAD) or for the file itself (GET)."""
        matches = [RESOLVE.fullmatch(path) for used, path in self.requests if used == method]
        return Counter(match[4] for match in matches if match)

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.may_send.set()
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()


class _Refusal(Exception):
    """An error as the hub tells it: a status, and the code that clients read."""

    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.requests.append((self.command, path))
        try:
            if match := API.fullmatch(path):
                self._describe(*match.groups(), recursive=parse_qs(url.query).get("recursive") == ["true"])
            elif match := RESOLVE.fullmatch(path):
                self._serve(*match.groups())
            else:
                raise _Refusal(404, "RepoNotFound")
        except _Refusal as refusal:
            self._send(b"", refusal.status, {"X-Error-Code": refusal.code})

    do_HEAD = do_GET

    def _describe(self, kind: str, name: str, question: str, revision: str, below: str | None, recursive: bool) -> None:
        repository = self._repository(kind, name, revision or "main")
        answer = {"id": name, "sha": repository.commit}
        if question == "tree":
            answer = repository.listing(below or "", recursive)
        if answer is None:
            raise _Refusal(404, "EntryNotFound")
        self._send(json.dumps(answer).encode(), headers={"Content-Type": "application/json"})

    def _serve(self, dataset: str | None, name: str, revision: str, file: str) -> None:
        repository = self._repository("datasets" if dataset else "models", name, revision)
        if repository.gated:
            raise _Refusal(403 if "Authorization" in self.headers else 401, "GatedRepo")
        path = repository.directory / file
        if not path.is_file():
            raise _Refusal(404, "EntryNotFound")
        headers = {"ETag": f'"{content_id(path)}"', "X-Repo-Commit": repository.commit}
        headers["Content-Length"] = str(path.stat().st_size)
        body = path.read_bytes()
        if self.command == "GET":
            self.hub.may_send.wait()
            if file in self.hub.breaks_off:
                self.close_connection, body = True, body[:-1]
        self._send(body, headers=headers)

    def _repository(self, kind: str, name: str, revision: str) -> Repository:
        repository = self.hub.repositories.get((kind, name))
        if repository is None:  # strangers are not told whether it is private or not there
            raise _Refusal(404 if "Authorization" in self.headers else 401, "RepoNotFound")
        if not repository.has(revision):
            raise _Refusal(404, "RevisionNotFound")
        return repository

    def _send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Not on the terminal."""
