"""Models: which version answers, how good each is, who decides. One page for all, one for each version."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from flows.lineage import parted
from radloop.domain.access import Permission
from radloop.ledger import models as model_rows
from radloop.ledger import standing as standing_rows
from serving.console.api import models as api
from serving.console.api.models import Named, Viewer
from serving.console.identity import HouseHere
from serving.console.rendering import render

model_pages = APIRouter(include_in_schema=False)


@model_pages.get("/models")
def get_models(request: Request, house: HouseHere, who: Viewer) -> Response:
    """Every version, cohort and training run."""
    return render(
        request,
        who,
        "models.html",
        versions=api.list_models(house, who),
        cohorts=api.list_cohorts(house, who),
        runs=api.list_runs(house, who),
        rolls_back=who.may(Permission.ROLL_BACK),
    )


@model_pages.get("/models/{named}")
def get_model(request: Request, named: Named, house: HouseHere, who: Viewer) -> Response:
    """One version: gates with intervals, the shadow beside the champion, approvals, history."""
    with house.ledger.read() as conn:
        version = model_rows.find(conn, *parted(named))
        history = [step for step in standing_rows.history(conn, version.name) if step.digest == version.digest]
    return render(
        request,
        who,
        "model.html",
        named=f"{version.name}@{version.digest[:12]}",
        version=version,
        history=history[::-1],
        evaluations=api.get_evaluations(named, house, who),
        comparison=api.get_comparison(named, house, who),
        approvals=api.get_approval(named, house, who),
        approves=who.may(Permission.APPROVE),
        trains=who.may(Permission.TRAIN),
        studies=who.may(Permission.VIEW_STUDIES),
    )
