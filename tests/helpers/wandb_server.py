"""A W&B server for tests, as far as the real client needs one to create, resume, list and read back runs.

It answers the requests of wandb 0.31 by the names of their GraphQL operations: those of `wandb.init`, of the artifacts
behind logged tables, of `wandb.Api().runs()` and of history scans. `faults` makes it fail as servers and networks do.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENTITY = "e"  # whom the API key belongs to
NEVER = "1970-01-01T00:00:00Z"


GONE = -1


@dataclass
class Fault:
    """How requests whose path holds `path` are answered: after `seconds`, and with `status` where that is not 0.

    GONE as the status closes the connection without an answer. `times`: how many requests are still answered so; None
    for all.
    """

    status: int = 0
    seconds: float = 0.0
    path: str = ""
    times: int | None = None


@dataclass
class Run:
    """What the server keeps of a run; `fields` are those of the mutation that created or changed it last."""

    fields: dict
    rows: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    state: str = "running"
    files: set[str] = field(default_factory=set)

    @property
    def last_step(self) -> int:
        return self.rows[-1].get("_step", 0) if self.rows else -1  # the client sends them in order

    @property
    def config(self) -> dict:
        """The configuration as a user set it."""
        return {key: entry["value"] for key, entry in json.loads(self.fields.get("config") or "{}").items()}

    def as_answer(self, name: str) -> dict:
        """Every field of GraphQL's type Run that the client asks for."""
        fields = self.fields
        entity = {"id": "e", "name": fields["entity"]}
        return {
            "id": name,
            "name": name,
            "projectId": "1",
            "displayName": fields.get("displayName"),
            "group": fields.get("groupName"),
            "jobType": fields.get("jobType"),
            "tags": fields.get("tags") or [],
            "config": fields.get("config") or "{}",
            "summaryMetrics": json.dumps(self.summary),
            "systemMetrics": "{}",
            "state": self.state,
            **dict.fromkeys(("description", "notes", "commit", "sweepName")),
            "readOnly": False,
            "createdAt": NEVER,
            "heartbeatAt": NEVER,
            "user": {"name": "u", "username": "u"},
            "historyLineCount": len(self.rows),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in self.rows[-1:]]),
            "eventsTail": "[]",
            "wandbConfig": '{"t": 1}',
            "historyKeys": {"keys": {}, "lastStep": self.last_step},
            "project": {"id": "p", "name": fields["project"], "entity": entity},
            "parquetHistory": {"parquetUrls": [], "liveData": []},
        }


class UnknownOperation(Exception):
    """The client asked for what this server has no answer to."""


class WandbServer(ThreadingHTTPServer):
    """Keeps what it receives.

    bodies: of all requests, uncompressed. operations: of GraphQL, as they were asked for. runs: by id. uploads: files,
    by the name of each. unknown: operations that it has no answer to, and refused.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.bodies: list[bytes] = []
        self.operations: list[str] = []
        self.unknown: list[tuple[str, dict]] = []
        self.runs: dict[str, Run] = {}
        self.uploads: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_) -> None:
        """A client that was killed closes no connection; that is no error of the test's."""

    def rows(self, run: str) -> list[dict]:
        """The rows of a run, without the client's own columns."""
        return [{key: value for key, value in row.items() if key[0] != "_"} for row in self.runs[run].rows]

    def answer(self, query: str, variables: dict) -> dict:
        """To a GraphQL request."""
        operation = re.search(r"(?:query|mutation)\s+(\w+)", query)[1]
        self.operations.append(operation)
        if answers := getattr(self, f"_{operation}", None):
            return answers(variables)
        if "viewer" in query:
            return {"viewer": VIEWER}
        if operation in ("Run", "RunHistoryKeys", "RunParquetHistory", "QueryRunInfo", "RunState"):
            return self._of_run(variables)
        self.unknown.append((operation, variables))
        raise UnknownOperation(operation)

    def _of_run(self, variables: dict) -> dict:
        name = variables.get("runName") or variables.get("run") or variables["name"]
        run = self.runs.get(name)
        return {"project": {"internalId": "1", "run": run and run.as_answer(name)}}

    def _ServerFeaturesQuery(self, _: dict) -> dict:
        return {"serverInfo": {"features": []}}

    def _UpsertBucket(self, variables: dict) -> dict:
        name = variables.get("name") or variables["id"]
        new = name not in self.runs
        if new:
            self.runs[name] = Run({"entity": ENTITY})
        given = {key: value for key, value in variables.items() if value is not None}
        run = self.runs[name]
        if (summary := given.pop("summaryMetrics", None)) is not None:
            run.summary = json.loads(summary)
        run.fields.update(given)
        run.state = "running" if "project" in given else run.state
        return {"upsertBucket": {"bucket": run.as_answer(name), "inserted": new}}

    def _RunResumeStatus(self, variables: dict) -> dict:
        run = self.runs.get(variables["name"])
        bucket = run and run.as_answer(variables["name"])
        return {"model": {"name": variables["project"], "entity": {"name": ENTITY}, "bucket": bucket}}

    def _CreateRunFiles(self, variables: dict) -> dict:
        self.runs[variables["run"]].files.update(variables["files"])
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _Runs(self, variables: dict) -> dict:
        asked = json.loads(variables.get("filters") or "{}")
        names = asked.get("name", {}).get("$in", self.runs)
        found = [
            name for name in names if name in self.runs and self.runs[name].fields["project"] == variables["project"]
        ]
        if not any(run.fields["project"] == variables["project"] for run in self.runs.values()):
            return {"project": None}
        first = int(variables.get("cursor") or 0)
        page = found[first : first + variables.get("perPage", 50)]
        end = first + len(page)
        edges = [{"node": self.runs[name].as_answer(name), "cursor": str(end)} for name in page]
        more = {"endCursor": str(end), "hasNextPage": end < len(found)}
        runs = {"edges": edges, "pageInfo": more}
        return {"project": {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": runs}}

    def _HistoryPage(self, variables: dict) -> dict:
        rows = self.runs[variables["run"]].rows
        low, high = variables["minStep"], variables["maxStep"]
        found = [json.dumps(row) for row in rows if low <= row["_step"] < high][: variables["pageSize"]]
        return {"project": {"run": {"history": found}}}

    def _RunFullHistory(self, variables: dict) -> dict:
        history = [json.dumps(row) for row in self.runs[variables["name"]].rows]
        return {"project": {"run": {"history": history}}}

    def _RunSampledHistory(self, variables: dict) -> dict:
        rows, specs = self.runs[variables["name"]].rows, map(json.loads, variables["specs"])
        sampled = [
            [{key: row[key] for key in spec["keys"]} for row in rows if set(spec["keys"]) <= set(row)][
                : spec["samples"]
            ]
            for spec in specs
        ]
        return {"project": {"run": {"sampledHistory": sampled}}}

    def _ArtifactType(self, _: dict) -> dict:
        return {"project": None}  # no such artifact yet

    def _CreateArtifact(self, variables: dict) -> dict:
        sequence = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
        return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}}

    def take_rows(self, name: str, body: dict) -> None:
        """Rows of the history stand at the offset that the client names."""
        run, files = self.runs[name], body.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            found = [json.loads(line) for line in history["content"]]
            run.rows[history["offset"] : history["offset"] + len(found)] = found
        if summary := files.get("wandb-summary.json"):
            run.summary = json.loads(summary["content"][-1])
        if body.get("complete"):
            run.state = "failed" if body.get("exitcode") else "finished"


VIEWER = {"id": "u", "entity": ENTITY, "username": "u", "name": "u", "flags": "{}", "teams": {"edges": []}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the second write of an answer waits 40 ms for the client's word on the first

    def do_POST(self) -> None:
        body = self._body()
        if self._fails():
            return
        with self.server.lock:
            if self.path.endswith("/graphql"):
                asked = json.loads(body)
                try:
                    found = self.server.answer(asked["query"], asked.get("variables") or {})
                except UnknownOperation as operation:
                    return self._send({"errors": [{"message": f"this server does not know {operation}"}]}, 400)
                answer = found if "errors" in found else {"data": found}
            elif match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
                self.server.take_rows(match[1], json.loads(body))
                answer = {"exitcode": None, "limits": {}}
            else:
                return self._send({}, 404)
        self._send(answer)

    def do_PUT(self) -> None:
        body = self._body()
        if not self._fails():
            self.server.uploads[self.path.removeprefix("/upload/")] = body
            self._send({})

    def do_GET(self) -> None:
        self._send({}, 404)

    def _fails(self) -> bool:
        """Whether the request was answered by a fault."""
        for fault in self.server.faults:
            if fault.path in self.path and fault.times != 0:
                if fault.times:
                    fault.times -= 1
                time.sleep(fault.seconds)
                if fault.status == GONE:
                    self.close_connection = True
                    return True
                if fault.status:
                    self._send({"errors": [{"message": "the test's fault"}]}, fault.status)
                    return True
        return False

    def _body(self) -> bytes:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        self.server.bodies.append(body)
        return body

    def _send(self, value: dict, status: int = 200) -> None:
        content = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # whoever asked is gone
            self.close_connection = True

    def log_message(self, *_) -> None:
        pass


@contextmanager
def wandb_server(port: int = 0, kind: type[WandbServer] = WandbServer):
    """A running server of a kind, for the length of a test."""
    server = kind(port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
