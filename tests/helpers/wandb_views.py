"""A W&B server for tests that also keeps saved views and reports, as the clients wandb and wandb-workspaces ask for."""

from __future__ import annotations

import base64
import json

from helpers.wandb_server import ENTITY, NEVER, VIEWER, Run, WandbServer, wandb_server


class ViewServer(WandbServer):
    """`views`: saved views and reports by id, each with its `name`, `type`, `spec` (parsed) and project; `projects`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.views: dict[str, dict] = {}
        self.created: set[str] = set()

    def clear(self) -> None:
        """Forget everything, and answer without faults."""
        for kept in (self.views, self.created, self.runs, self.operations, self.unknown, self.faults, self.bodies):
            kept.clear()

    @property
    def projects(self) -> set[str]:
        return self.created | {run.fields["project"] for run in self.runs.values() if "project" in run.fields}

    def of_type(self, kind: str) -> list[dict]:
        return [view for view in self.views.values() if view["type"] == kind]

    @property
    def saved_views(self) -> list[dict]:
        return self.of_type("project-view")

    @property
    def reports(self) -> list[dict]:
        return self.of_type("runs")

    def _GetDefaultEntity(self, _: dict) -> dict:
        return {"viewer": {**VIEWER, "entity": ENTITY}}

    def _GetProject(self, asked: dict) -> dict:
        return {"project": self._project(asked["name"], asked["entity"]) if asked["name"] in self.projects else None}

    def _OrganizationCoreWeaveOrganizationID(self, _: dict) -> dict:
        return {"entity": {"organization": None}}

    def _ProjectInternalId(self, asked: dict) -> dict:
        name = asked["projectName"]
        return {"project": {"id": name, "internalId": "1"} if name in self.projects else None}

    def _GetProjects(self, asked: dict) -> dict:
        edges = [{"node": self._project(name, asked["entity"]), "cursor": name} for name in sorted(self.projects)]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": edges}}

    def _CreateProject(self, asked: dict) -> dict:
        wanted = asked["input"]
        name, entity = wanted["name"], wanted.get("entityName") or wanted.get("entity_name")
        new = name not in self.projects
        self.created.add(name)
        made = {"id": name, "name": name, "entityName": entity}
        return {"result": {"project": made, "model": made, "inserted": new}}

    def _project(self, name: str, entity: str) -> dict:
        fixed = {"__typename": "Project", "createdAt": NEVER, "isBenchmark": False, "user": None}
        return {"id": name, "name": name, "entityName": entity, **fixed}

    def _UpsertView2(self, asked: dict) -> dict:
        view, new = self._upserted(asked)
        return {"upsertView": {"view": {"id": view["id"], "name": view["name"]}, "inserted": new}}

    def _upsertView(self, asked: dict) -> dict:
        view, new = self._upserted(asked)
        return {"upsertView": {"view": self._as_report(view), "inserted": new}}

    def _upserted(self, asked: dict) -> tuple[dict, bool]:
        sign = asked.get("id")
        new = sign not in self.views
        if new:
            sign = base64.b64encode(f"View:{len(self.views) + 100}".encode()).decode()
        known = self.views.setdefault(sign, {"id": sign, "createdAt": NEVER})
        spec = json.loads(asked["spec"])
        project = {"project": asked["projectName"], "entity": asked["entityName"]}
        fields = {key: asked.get(key) for key in ("name", "type", "displayName", "description")}
        known.update(fields, spec=spec, updatedAt=NEVER, **project)
        return known, new

    def _as_report(self, view: dict) -> dict:
        project = {"id": view["project"], "name": view["project"], "entityName": view["entity"]}
        return {**view, "project": project, "spec": json.dumps(view["spec"])}

    def _View(self, asked: dict) -> dict:
        found = [v for v in self.saved_views if v["name"] == asked["viewName"] and v["project"] == asked["name"]]
        nodes = [{"id": v["id"], "displayName": v["displayName"], "spec": json.dumps(v["spec"])} for v in found]
        return {"project": {"allViews": {"edges": [{"node": node} for node in nodes]}}}

    def _ProjectViews(self, asked: dict) -> dict:
        found = [view for view in self.views.values() if view["type"] == asked.get("viewType", "runs")]
        edges = [{"node": {**self._as_report(view), "user": None}, "cursor": view["id"]} for view in found]
        page = {"endCursor": None, "hasNextPage": False}
        return {"project": {"allViews": {"edges": edges, "pageInfo": page}}}

    def _Runs(self, asked: dict) -> dict:
        """Those that match every condition of a filter, as far as the project's own code writes filters."""
        conditions = json.loads(asked.get("filters") or "{}")
        if asked["project"] not in self.projects:
            return {"project": None}
        if not self.runs:
            none = {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}}
            return {"project": {"internalId": "1", "runCount": 0, "readOnly": False, "runs": none}}
        if "$and" in conditions:
            names = [name for name, run in self.runs.items() if all(_holds(run, one) for one in conditions["$and"])]
            asked = {**asked, "filters": json.dumps({"name": {"$in": names}})}
        return super()._Runs(asked)

    def _SpecificReport(self, asked: dict) -> dict:
        view = self.views.get(asked["reportId"])
        return {"view": view and self._as_report(view)}


def _holds(run: Run, condition: dict) -> bool:
    ((key, value),) = condition.items()
    return value in (run.fields.get("tags") or []) if key == "tags" else run.fields.get(key) == value


def view_server(port: int = 0):
    """A running server, for the length of a test."""
    return wandb_server(port, ViewServer)
