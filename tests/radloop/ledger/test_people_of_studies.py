"""Sign-offs, patients, consents and unmatched reports, on each database."""

from datetime import timedelta

import pytest

from radloop.domain.enums import Consent, VerdictSource
from radloop.domain.errors import NotFound, Rejected
from radloop.domain.learning import ConsentGiven
from radloop.domain.records import Evidence, SignOff
from radloop.ledger import Ledger, consents, instances, patients, signoffs, studies, unmatched
from tests.radloop.ledger.rows import NOW, arrival

DAY = timedelta(days=1)


def version_of(ledger: Ledger, sop: str = "1.2.3.4", **header: str) -> str:
    with ledger.write() as conn:
        (receipt,) = instances.record(conn, [arrival(sop=sop, **header)])
    assert receipt.version_id is not None
    return receipt.version_id


def next_version(ledger: Ledger, version_id: str, sop: str) -> str:
    """A late instance makes another version of the same study."""
    with ledger.write() as conn:
        studies.complete(conn, version_id, Evidence(), NOW, 1)
    return version_of(ledger, sop)


def signed(version_id: str, reader: str = "dr.who") -> SignOff:
    return SignOff(
        version_id=version_id, reader=reader, actor=reader, at=NOW, source=VerdictSource.REST, conclusion="Normal."
    )


def test_a_version_is_signed_off_once(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    with ledger.write() as conn:
        assert signoffs.add(conn, signed(version_id))
        assert not signoffs.add(conn, signed(version_id, "dr.no"))
        assert signoffs.of_version(conn, version_id) == signed(version_id)
        assert signoffs.of_versions(conn, [version_id, "sv_0"]) == {version_id: signed(version_id)}


def test_a_patient_keeps_one_surrogate_id_per_number_and_issuer(ledger: Ledger) -> None:
    version_id = version_of(ledger, issuer="H")
    with ledger.write() as conn:
        mine = patients.ensure(conn, "P1", "H")
        assert patients.ensure(conn, "P1", "H") == mine == patients.find(conn, "P1", "H")
        assert patients.ensure(conn, "P1", "elsewhere") != mine
        assert "P1" not in mine
        version = studies.get(conn, version_id)
        assert version is not None
        assert patients.of_study(conn, version.study_id) == mine
        assert patients.issuers(conn, "P1") == ("H", "elsewhere")
        assert patients.exists(conn, mine)
        assert not patients.exists(conn, "pa_0")
        with pytest.raises(NotFound):
            patients.of_study(conn, "st_0")
        with pytest.raises(Rejected):
            patients.ensure(conn, "", "H")


def test_two_studies_without_a_patient_id_are_not_taken_for_one_patient_s(ledger: Ledger) -> None:
    ids = [version_of(ledger, f"1.2.3.{n}", study_uid=f"1.2.{n}", patient_id="") for n in (1, 2)]
    with ledger.write() as conn:
        found = [studies.get(conn, version_id) for version_id in ids]
        surrogates = [patients.of_study(conn, version.study_id) for version in found if version]
        again = [patients.of_study(conn, version.study_id) for version in found if version]
    assert len(set(surrogates)) == 2
    assert surrogates == again


@pytest.mark.parametrize(("policy", "unasked"), [("none", False), ("training", True)])
def test_a_patient_s_newest_word_beats_the_policy(ledger: Ledger, policy: str, unasked: bool) -> None:
    with ledger.write() as conn:
        patient = patients.ensure(conn, "P1", "H")
        assert consents.current(conn, patient) is None
        assert consents.may_learn(conn, patient, policy) is unasked
        steps = ((Consent.TRAINING, 1), (Consent.WITHDRAWN, 2), (Consent.TRAINING, 3))
        for consent, day in steps:
            consents.add(conn, ConsentGiven(patient=patient, consent=consent, actor="dr.who", at=NOW + day * DAY))
            assert consents.current(conn, patient) is consent
            assert consents.may_learn(conn, patient, policy) is (consent is Consent.TRAINING)
        assert [given.consent for given in consents.history(conn, patient)] == [one for one, _ in reversed(steps)]


def test_of_two_words_at_the_same_instant_the_withdrawal_counts(ledger: Ledger) -> None:
    with ledger.write() as conn:
        patient = patients.ensure(conn, "P1", "H")
        for consent in (Consent.WITHDRAWN, Consent.TRAINING):
            consents.add(conn, ConsentGiven(patient=patient, consent=consent, actor="dr.who", at=NOW))
        assert consents.current(conn, patient) is Consent.WITHDRAWN


def test_reports_that_decided_nothing_are_kept_once_and_counted_by_reason(ledger: Ledger) -> None:
    version_id = version_of(ledger)
    of_study = unmatched_row(version_id, "no-statement")
    of_nothing = [unmatched_row(None, "no-study", message) for message in ("M1", "M2")]
    with ledger.write() as conn:
        assert [unmatched.add(conn, row) for row in (of_study, *of_nothing, of_study)] == [True, True, True, False]
        assert unmatched.counts(conn) == {"no-statement": 1, "no-study": 2}
        assert unmatched.of_version(conn, version_id) == (of_study,)


def unmatched_row(version_id: str | None, reason: str, message: str = "M0") -> unmatched.Unmatched:
    row_id = unmatched.derive_id("ris", message, reason)
    return unmatched.Unmatched(id=row_id, version_id=version_id, peer="ris", reason=reason, at=NOW)
