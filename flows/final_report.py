"""The final report: what the reader made of the models' findings, for every peer that gets reports over FHIR."""

from collections.abc import Iterable, Mapping
from typing import Final

from pydicom import Dataset

from flows.encoding import SOFTWARE_VERSION, Invalid, Made, make, site_facts
from flows.house import House
from flows.wanted import recipients
from integrations.objects.context import AnswerContext, Signed
from models.catalog import catalog
from models.spec import ModelSpec
from radloop.domain.enums import ObjectKind, ResultStatus, Standing
from radloop.domain.records import Order, Result, SignOff, StudyVersion, Verdict
from radloop.domain.verdicts import last_words
from radloop.ledger import acquisitions as acquisition_rows
from radloop.ledger import instances as instance_rows
from radloop.ledger import orders as order_rows
from radloop.ledger import results as result_rows
from radloop.pixels import read_header

REPORTS: Final = frozenset((ObjectKind.DIAGNOSTIC_REPORT,))
SILENT: Final = frozenset((Standing.CHALLENGER, Standing.SHADOW))
"""What these versions say is never shown to a reader: it is in no report."""


def shown(result: Result) -> bool:
    """Whether readers may see what a model said."""
    return result.model.standing not in SILENT


def encode_finals(
    house: House, version: StudyVersion, signoff: SignOff, said: Iterable[Verdict]
) -> tuple[Made | Invalid, ...]:
    """One final report per answer that was shown; nothing where no peer gets reports over FHIR.

    Raises:
        NotFound, IntegrityError: the images read are gone or damaged.
        Unavailable, StorageFull: the ledger's and the store's.
    """
    with house.ledger.read() as conn:
        results = result_rows.of_version(conn, version.id)
        order = order_rows.of_study(conn, version.study_id)
    counted = counting(said, signoff.reader)
    read = (one for one in results if one.status is ResultStatus.OK and shown(one))
    made = (_encode(house, version, one, order, _signed(house, signoff, counted, one)) for one in read)
    return tuple(one for of_result in made for one in of_result)


def counting(said: Iterable[Verdict], signer: str) -> tuple[Verdict, ...]:
    """The verdicts that a final report goes by: per target the signer's last word, else the newest of any reader."""
    ranked = sorted(last_words(said), key=lambda one: (one.reader == signer, one.at))
    # Whatever has no target is said once per verdict.
    return tuple({(one.result_id, one.target or one.id): one for one in ranked}.values())


def _encode(
    house: House, version: StudyVersion, result: Result, order: Order | None, signed: Signed
) -> Iterable[Made | Invalid]:
    wanted = recipients(result, house.settings.peers, house.settings.site, REPORTS)
    if not wanted:
        return ()
    spec = catalog().get(result.model.name)
    ctx = AnswerContext(
        study=version,
        result=result,
        title=spec.title if spec else result.model.name,
        sources=_sources(house, version, spec),
        pictures={},
        order=order,
        predecessor=None,
        site=site_facts(house.settings.site, signed.at),
        software_version=SOFTWARE_VERSION,
        signed=signed,
    )
    return [made for one in wanted for made in make(house, ctx, one)]


def _signed(house: House, signoff: SignOff, counted: Iterable[Verdict], result: Result) -> Signed:
    known = house.settings.readers.get(signoff.reader)
    return Signed(
        reader=signoff.reader,
        reader_id=known.ids[0] if known and known.ids else signoff.reader,
        at=signoff.at,
        conclusion=signoff.conclusion,
        verdicts=tuple(one for one in counted if one.result_id == result.id),
    )


def _sources(house: House, version: StudyVersion, spec: ModelSpec | None) -> Mapping[str, Dataset]:
    """The headers of the images that the model could read, as the first report quoted them."""
    with house.ledger.read() as conn:
        found = instance_rows.of_version(conn, version.id)
        rows = acquisition_rows.of_instances(conn, [instance.id for instance in found])
    readable = {row.instance_id for row in (spec.readable(rows) if spec else ())} or {row.instance_id for row in rows}
    return {one.id: read_header(house.store.get(one.blob.key)) for one in found if one.id in readable}
