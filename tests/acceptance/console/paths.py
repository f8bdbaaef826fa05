"""Every page that a person can open, with ids that exist, and what each asks for: from the console's own routes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from radloop.domain.access import Permission
from serving.console.app import permissions_of, routes

PARAMETER = re.compile(r"\{([a-z_]+)(?::path)?\}")
NO_PAGES: Final[Mapping[str, str]] = {
    "/": "goes on to the first page that one may see",
    "/worklist/next": "goes on to a study",
    "/open": "goes on to a study, from a signed link",
    "/studies/{version_id}/part": "a part of the study's page",
    "/operations/schedules": "a part of Operations",
    "/upload/{upload_id}": "shown to whom it belongs alone",
    "/data-docs/{name}": "written by Great Expectations",
    "/mlflow": "MLflow's own page",
    "/prefect": "Prefect's own page",
}
"""GET paths outside the REST interface that are not a page of ours for everybody of a role, and why."""


@dataclass(frozen=True, slots=True)
class Door:
    """An address of a page, and the permissions without which it is refused."""

    path: str
    wanted: frozenset[Permission]


def doors(ids: Mapping[str, str]) -> list[Door]:
    """All pages, with `ids` by the names of the paths' parameters.

    Raises:
        KeyError: a page takes an id of a kind that is not among `ids`.
    """
    found = []
    for route in routes():
        wanted = permissions_of(route)
        is_page = "GET" in (route.methods or set()) and not route.path.startswith(("/api/", "/mlflow/", "/prefect/"))
        if wanted is None or not is_page or route.path in NO_PAGES:
            continue
        found.append(Door(PARAMETER.sub(lambda name: ids[name[1]], route.path), wanted))
    return found
