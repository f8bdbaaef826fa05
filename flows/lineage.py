"""Follow any answer back to what it rests on, and any model version to what it touched."""

from dataclasses import dataclass

from flows.chain import Node, chain
from flows.house import House
from flows.story import story_of
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.learning import Cohort, TrainingRun
from radloop.domain.records import ModelVersion
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import lineage
from radloop.ledger import models as model_rows
from radloop.ledger.lineage import CopyUse, Touched


@dataclass(frozen=True, slots=True)
class Taught:
    """A training run among those that a version's weights come from, its cohort and the copies in that."""

    run: TrainingRun
    cohort: Cohort
    copies: tuple[CopyUse, ...]


@dataclass(frozen=True, slots=True)
class Touch:
    """What a model version read, and what it and its ancestors learned from."""

    version: ModelVersion
    readings: tuple[Touched, ...]
    taught: tuple[Taught, ...]

    @property
    def patients(self) -> tuple[str, ...]:
        """Surrogate ids of everyone of whom an image was learned from or chosen by, sorted."""
        return tuple(sorted({copy.patient for one in self.taught for copy in one.copies}))


def explain(house: House, name: str) -> tuple[Node, ...]:
    """The chain of every result that a name means (`radloop.ledger.lineage.results_named`), the oldest first.

    Raises:
        NotFound: no result goes by this name.
    """
    with house.ledger.read() as conn:
        ids = lineage.results_named(conn, name)
        if not ids:
            raise NotFound("no result goes by this name: give a result, a study version, a study or an object")
        stories = [story_of(house, conn, result_id) for result_id in ids]
    return tuple(chain(story) for story in stories)


def touched(house: House, named: str) -> Touch:
    """What a model version (`MODEL@VERSION`, or the beginning of a digest instead of the version) touched.

    Raises:
        Rejected: it is not MODEL@VERSION.
        NotFound: there is no such version.
    """
    with house.ledger.read() as conn:
        version = model_rows.find(conn, *parted(named))
        taught = []
        for run in lineage.ancestry(conn, version.digest):
            cohort = cohort_rows.get(conn, run.cohort_id)
            taught.append(Taught(run, cohort, lineage.copies_in(conn, cohort.id)))
        return Touch(version, lineage.readings(conn, version.digest), tuple(taught))


def parted(named: str) -> tuple[str, str]:
    """`MODEL@VERSION` in its two parts.

    Raises:
        Rejected: there is no @ with something on both sides.
    """
    name, _, which = named.partition("@")
    if not (name and which):
        raise Rejected("write MODEL@VERSION, as in cxr_pneumonia@1.0.0")
    return name, which
