from dataclasses import replace

from sqlalchemy import select

from radloop.domain.enums import Awareness, Consent
from radloop.domain.learning import ConsentGiven, Facts, Label, TrainingCopy
from radloop.domain.records import Blob
from radloop.ledger import Ledger, consents, copies, patients
from radloop.ledger.learning import training_copies
from tests.radloop.ledger.rows import NOW

FACTS = Facts(site="A", scanner="X1", sex="F", age_band="40-59")


def copy(patient: str, number: int = 1, **changes: object) -> TrainingCopy:
    facts = {
        "id": f"tc_{number}",
        "model": "cxr",
        "patient": patient,
        "version_id": None,
        "instance_id": None,
        "content_sha256": f"{number:064d}",
        "pixel_sha256": f"{number:064d}",
        "blob": Blob(f"{number:032d}", "s" * 64, 10),
        "facts": FACTS,
        "at": NOW,
        **changes,
    }
    return TrainingCopy(**facts)  # type: ignore[arg-type]


def said(value: int, reader: str = "import", awareness: Awareness = Awareness.BLINDED) -> Label:
    return Label(target="pneumonia", value=value, reader=reader, awareness=awareness, origin="import")


def test_a_copy_is_kept_once_per_model_and_image_and_comes_back_as_it_was(ledger: Ledger) -> None:
    with ledger.write() as conn:
        kept = copy(patients.ensure(conn, "P1", ""))
        assert copies.add(conn, kept)
        assert not copies.add(conn, replace(kept, id="tc_again"))
        assert copies.add(conn, replace(kept, id="tc_other", model="other"))
    with ledger.read() as conn:
        assert copies.get_many(conn, ["tc_none", "tc_1"]) == (kept,)
        assert copies.known(conn, "cxr", [kept.content_sha256]) == {kept.content_sha256: kept}


def test_many_copies_come_in_the_order_that_they_are_asked_for(ledger: Ledger) -> None:
    with ledger.write() as conn:
        patient = patients.ensure(conn, "P1", "")
        for number in range(1_100):
            copies.add(conn, copy(patient, number))
    wanted = [f"tc_{number}" for number in reversed(range(1_100))]
    with ledger.read() as conn:
        assert [one.id for one in copies.get_many(conn, wanted)] == wanted


def test_a_forgotten_copy_keeps_its_row_and_loses_its_bytes(ledger: Ledger) -> None:
    with ledger.write() as conn:
        patient = patients.ensure(conn, "P1", "")
        kept = copy(patient)
        copies.add(conn, kept)
        assert copies.of_patient(conn, patient) == {"tc_1": kept.blob.key}
        assert copies.forget(conn, ["tc_1"]) == 1
        assert copies.forget(conn, ["tc_1"]) == 0
        assert copies.of_patient(conn, patient) == {}
        assert copies.get_many(conn, ["tc_1"]) == ()
        assert conn.execute(select(training_copies.c.blob_key)).all() == [(None,)]
        # Given consent again, the image may be copied again: under the id that old cohorts know.
        assert copies.add(conn, replace(kept, id="tc_new", blob=Blob("b" * 32, "t" * 64, 11)))
        assert [one.blob.key for one in copies.get_many(conn, ["tc_1"])] == ["b" * 32]


def test_those_who_withdrew_last_are_found_while_a_copy_is_there(ledger: Ledger) -> None:
    with ledger.write() as conn:
        gone, back, never = (patients.ensure(conn, name, "") for name in ("P1", "P2", "P3"))
        for number, patient in enumerate((gone, back, never)):
            copies.add(conn, copy(patient, number))
        for patient, consent, day in (
            (gone, Consent.TRAINING, 1),
            (gone, Consent.WITHDRAWN, 2),
            (back, Consent.WITHDRAWN, 1),
            (back, Consent.TRAINING, 2),
        ):
            at = NOW.replace(day=day)
            consents.add(conn, ConsentGiven(patient=patient, consent=consent, actor="a", at=at))
        assert copies.patients_who_withdrew(conn) == (gone,)
        copies.forget(conn, copies.of_patient(conn, gone))
        assert copies.patients_who_withdrew(conn) == ()


def test_an_outside_readers_newer_word_replaces_the_old_and_the_same_word_is_nothing_new(ledger: Ledger) -> None:
    with ledger.write() as conn:
        copies.add(conn, copy(patients.ensure(conn, "P1", "")))
        assert copies.label(conn, "tc_1", said(1), NOW)
        assert not copies.label(conn, "tc_1", said(1), NOW)
        assert copies.label(conn, "tc_1", said(0), NOW)
        assert copies.label(conn, "tc_1", said(1, "second", Awareness.SAW_AI), NOW)
        assert copies.labels_of(conn, ["tc_1"], "pneumonia") == {"tc_1": (said(0), said(1, "second", Awareness.SAW_AI))}
        assert copies.labels_of(conn, ["tc_1"], "other") == {}
