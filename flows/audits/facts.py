"""Sex and age band of audited studies, for subgroups: of a training copy where one is on record, else of the header.

Nothing of the patient but these two is taken from a header, and nothing of it is kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import structlog

from flows.audits.cases import Case, Gathered
from flows.house import House
from flows.labelled_files import header_says
from radloop.domain.errors import IntegrityError, NotFound, Rejected
from radloop.domain.learning import Facts
from radloop.ledger import signed as signed_rows
from radloop.ledger.signed import Signed
from radloop.pixels import read_header

log = structlog.get_logger()


def judged(gathered: Gathered) -> frozenset[str]:
    """The study versions on which some reader gave a word: all that accuracy is counted over."""
    return frozenset(case.answer.signed.version_id for case in gathered.cases if any(case.words.values()))


def with_facts(house: House, gathered: Gathered, versions: Collection[str]) -> Gathered:
    """The same, every case of these study versions with its sex and age band too; '' where nothing says.

    Site and scanner are on every case: the ledger has them.

    Raises:
        Transient: ledger or store are away.
    """
    found = _people(house, {one.version_id: one for one in gathered.signed if one.version_id in versions})
    return replace(gathered, cases=tuple(_placed(case, found) for case in gathered.cases))


def _placed(case: Case, people: Mapping[str, Facts]) -> Case:
    signed = case.answer.signed
    person = people.get(signed.study_id, Facts())
    facts = Facts(site=signed.site, scanner=case.answer.device.name, sex=person.sex, age_band=person.age_band)
    return replace(case, facts=facts)


def _people(house: House, wanted: Mapping[str, Signed]) -> Mapping[str, Facts]:
    """By study, of signed versions by their ids."""
    with house.ledger.read() as conn:
        copied = signed_rows.learned(conn, list(wanted))
        found = {wanted[version].study_id: facts for version, facts in copied.items() if facts.sex or facts.age_band}
        images = signed_rows.first_images(conn, {one.study_id for one in wanted.values()} - found.keys())
    headers = {study: facts for study, key in images.items() if (facts := _header(house, key)) is not None}
    if len(headers) < len(images):
        # Pixels that the retention policy took are gone; a subgroup then lacks these studies, and says its n.
        log.info("headers that an audit cannot read", studies=len(images) - len(headers))
    return found | headers


def _header(house: House, key: str) -> Facts | None:
    try:
        return header_says(read_header(house.store.get(key)))
    except (NotFound, IntegrityError, Rejected):
        return None
