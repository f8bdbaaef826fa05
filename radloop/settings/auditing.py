"""The tables of radloop.toml that audits read: who leads the readers, and the site's own rates for the business."""

from typing import Annotated

from pydantic import Field

from radloop.settings.sections import Section


class AuditSettings(Section):
    """Who may see what in audits."""

    lead_readers: tuple[str, ...] = Field(
        (), description="actors who may see every reader's own page (`radloop report readers`); others see theirs alone"
    )


class RoiSettings(Section):
    """The site's own rates for `radloop roi`. There are no defaults: what is not given is not reckoned with."""

    currency: str = Field("", max_length=8, description='of all amounts, e.g. "EUR"')
    reader_hour_cost: Annotated[float, Field(gt=0)] | None = Field(
        None, description="what an hour of a reader costs the site, in that currency"
    )
    minutes_saved_per_study: Annotated[float, Field(ge=-60, le=60)] | None = Field(
        None, description="minutes that a reader saves on a study that a model answered, as the site measured it"
    )
    minutes_lost_per_override: Annotated[float, Field(ge=0, le=240)] | None = Field(
        None, description="extra minutes that a study takes where the reader overrides a model"
    )
    cost_per_year: Annotated[float, Field(ge=0)] | None = Field(
        None, description="all that running radloop costs in a year: machines, licences, people"
    )
