"""A W&B server for tests, as far as the real client needs one to create a run, resume it, send rows and finish."""

from __future__ import annotations

import gzip
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WandbServer(ThreadingHTTPServer):
    """Keeps what it receives: the `bodies` of requests, uncompressed; `runs`, by id; their `rows`, by the run's id."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.runs: dict[str, dict] = {}
        self.rows: dict[str, list[dict]] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, query: str, variables: dict) -> dict:
        """To a GraphQL request, by the name of its operation."""
        operation = re.search(r"(?:query|mutation)\s+(\w+)", query)[1]
        if operation == "UpsertBucket":
            new = variables["name"] not in self.runs
            run = self.runs.setdefault(variables["name"], {})
            run.update({key: value for key, value in variables.items() if value is not None})
            return {"upsertBucket": {"bucket": self._bucket(variables), "inserted": new}}
        if operation == "RunResumeStatus":
            known = variables["name"] in self.runs
            project = {"name": variables["project"], "entity": {"name": "e"}}
            return {"model": {**project, "bucket": self._bucket(variables) if known else None}}
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            return {"viewer": {"id": "u", "entity": "e", "username": "u", "flags": "{}", "teams": {"edges": []}}}
        return {"serverInfo": {"features": []}}

    def _bucket(self, variables: dict) -> dict:
        run, rows = self.runs[variables["name"]], self.rows.get(variables["name"], [])
        entity = {"id": "e", "name": variables.get("entity") or "e"}
        return {
            "id": variables["name"],
            "name": variables["name"],
            "displayName": run.get("displayName"),
            "config": run.get("config") or "{}",
            "summaryMetrics": "{}",
            "tags": run.get("tags") or [],
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "wandbConfig": '{"t": 1}',
            "project": {"id": "p", "name": variables.get("project"), "entity": entity},
        }

    def take_rows(self, run: str, body: dict) -> None:
        """Rows of the history stand at the offset that the client names."""
        history = (body.get("files") or {}).get("wandb-history.jsonl")
        if history:
            rows = self.rows.setdefault(run, [])
            found = [json.loads(line) for line in history["content"]]
            rows[history["offset"] : history["offset"] + len(found)] = found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        with self.server.lock:
            if self.path.endswith("/graphql"):
                asked = json.loads(body)
                self._send({"data": self.server.answer(asked["query"], asked.get("variables") or {})})
            elif match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
                self.server.take_rows(match[1], json.loads(body))
                self._send({"exitcode": None, "limits": {}})
            else:
                self._send({}, 404)

    def do_PUT(self) -> None:
        self._body()
        self._send({})

    def do_GET(self) -> None:
        self._send({}, 404)

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        self.server.bodies.append(body)
        return body

    def _send(self, value: dict, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


@contextmanager
def wandb_server():
    """A running server, for the length of a test."""
    server = WandbServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
