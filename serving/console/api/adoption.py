"""The paths /api/v1/adoption: whether the answers are used, by model and week; never per reader."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from flows.adoption import Adoption, Figures, Share, measure
from flows.house import House
from radloop.domain.access import Permission, Who
from radloop.domain.ids import utc_now
from radloop.render.svg import to_svg
from radloop.render.trend import Series, trend
from serving.console.api.readings import REFUSALS, as_file
from serving.console.identity import HouseHere, may

adoption = APIRouter(prefix="/api/v1/adoption", responses=REFUSALS, tags=["adoption"])
Viewer = Annotated[Who, may(Permission.VIEW_PATTERNS)]
Weeks = Annotated[int, Query(ge=1, le=53, description="weeks up to this one, from Monday on, at the site")]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ShareOut(_Out):
    """So many of so many, with Wilson's 95 % interval; `value` null of nothing."""

    hits: int
    among: int
    value: float | None
    low: float
    high: float


class FiguresOut(_Out):
    """One model in the week that begins on this Monday (null: in all weeks)."""

    model: str
    week: date | None
    shown: int = Field(description="answers that readers could see")
    opened: ShareOut = Field(description="those whose study somebody opened")
    timed: int = Field(description="openings after the answer: what the times are of")
    median_seconds: float | None = Field(description="from the answer to the first opening")
    p90_seconds: float | None
    agreed: ShareOut = Field(description="verdicts that confirm the model, each reader's last word on each finding")
    overrides: int
    useful: ShareOut = Field(description="votes that say it was of use")


class AdoptionOut(_Out):
    """Each model over all these weeks, and week by week, the newest first."""

    since: date
    models: tuple[FiguresOut, ...]
    weeks: tuple[FiguresOut, ...]


@adoption.get("")
def get_adoption(house: HouseHere, _: Viewer, weeks: Weeks = 12) -> AdoptionOut:
    """How much of what the models say is opened, how soon, agreed with and of use."""
    return AdoptionOut.model_validate(measured(house, weeks))


@adoption.get("/{model}.svg", response_class=Response, responses=as_file("image/svg+xml"))
def get_plot(model: Name, house: HouseHere, _: Viewer, weeks: Weeks = 12) -> Response:
    """Shares opened, agreed and useful of one model, a point a week."""
    return Response(plot_of(measured(house, weeks), model), media_type="image/svg+xml")


def measured(house: House, weeks: int) -> Adoption:
    """The figures up to now, in the site's weeks."""
    return measure(house.ledger, weeks, ZoneInfo(house.settings.site.timezone), utc_now())


def plot_of(found: Adoption, model: str) -> str:
    """One model's shares as SVG, a point a week."""
    own = [one for one in reversed(found.weeks) if one.model == model]
    return to_svg(trend(_series(own), f"{model}: opened, agreed, useful, week by week"))


def _series(weeks: Sequence[Figures]) -> list[Series]:
    made = (
        _line("opened", [(one.week, one.opened) for one in weeks]),
        _line("readers agree", [(one.week, one.agreed) for one in weeks]),
        _line("voted useful", [(one.week, one.useful) for one in weeks]),
    )
    return [one for one in made if one.points]


def _line(name: str, shares: Iterable[tuple[date | None, Share]]) -> Series:
    return Series(name, tuple((week, share.value) for week, share in shares if week and share.value is not None))
