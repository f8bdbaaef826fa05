"""Lineage: where an answer comes from, what came of it, and what a model version touched."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import ValidationError

from flows.lineage import touched
from radloop.domain.access import Permission
from radloop.ledger import models as model_rows
from serving.console.api.lineage import (
    Named,
    ResultId,
    Results,
    SearchIn,
    Viewer,
    chain_of,
    search,
    touch_out,
)
from serving.console.identity import HouseHere
from serving.console.refusals import Malformed
from serving.console.rendering import render

lineage_pages = APIRouter(include_in_schema=False)
LONGEST: Final = 256
SHOWN: Final = 500
Text = Annotated[str, Form(max_length=LONGEST)]


@lineage_pages.get("/lineage")
def get_lineage(request: Request, house: HouseHere, who: Viewer) -> Response:
    """The search, and every model version to go forwards from."""
    with house.ledger.read() as conn:
        versions = model_rows.known(conn)
    return render(request, who, "lineage.html", versions=versions)


@lineage_pages.post("/lineage/search")
def post_search(
    request: Request,
    house: HouseHere,
    who: Viewer,
    accession: Text = "",
    name: Text = "",
    model: Text = "",
    version: Text = "",
    reader: Text = "",
    since: Text = "",
    until: Text = "",
    before_at: Text = "",
    before_id: Text = "",
) -> Response:
    """The rows that fit, for the page to put in its place; a further page's rows go below the last."""
    said = _said(
        accession=accession,
        name=name,
        model=model,
        version=version,
        reader=reader,
        since=since or None,
        until=until or None,
        before_at=before_at or None,
        before_id=before_id,
    )
    found: Results = search(said, house, who)
    template = "lineage_rows.html" if before_id else "lineage_results.html"
    return render(request, who, template, found=found, said=said)


@lineage_pages.get("/lineage/results/{result_id}")
def get_result(request: Request, result_id: ResultId, house: HouseHere, who: Viewer) -> Response:
    """One answer's chain, as a picture and as a list."""
    node = chain_of(house, who, result_id)
    exports = who.may(Permission.EXPORT)
    return render(request, who, "lineage_result.html", node=node, exports=exports, result_id=result_id)


@lineage_pages.get("/lineage/models/{named}")
def get_model(request: Request, named: Named, house: HouseHere, who: Viewer) -> Response:
    """What a model version touched."""
    touch = touch_out(touched(house, named))
    shown = touch.read[-SHOWN:][::-1]
    exports = who.may(Permission.EXPORT)
    return render(request, who, "lineage_model.html", touch=touch, shown=shown, named=named, exports=exports)


def _said(**fields: str | datetime | None) -> SearchIn:
    try:
        return SearchIn.model_validate(fields)
    except ValidationError as error:
        places = ", ".join(str(problem["loc"][0]) for problem in error.errors())
        raise Malformed(f"cannot be searched for: {places}") from None
