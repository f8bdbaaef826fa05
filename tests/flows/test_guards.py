"""What no cohort may hold, for any set of readers' words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.drawing import Judged, Word, newest, replayed, stratum_of
from flows.guards import (
    SHARES,
    Alike,
    Candidate,
    Known,
    Purpose,
    Reason,
    chance,
    label_for,
    resolved,
    sift_all,
    split_of,
)
from radloop.domain.enums import Awareness, Split, Urgency, VerdictKind, VerdictSource
from radloop.domain.learning import CohortMember, Facts, Label
from radloop.domain.records import Code, Finding, Verdict
from radloop.ledger.cohorts import Draw

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CODE = Code("233604007", "SCT", "Pneumonia")


def label(value: int, reader: str = "r1", awareness: Awareness = Awareness.BLINDED) -> Label:
    return Label(target="pneumonia", value=value, reader=reader, awareness=awareness, origin=f"ve_{reader}")


def candidate(number: int, **changes: object) -> Candidate:
    facts = {
        "content_sha256": f"c{number:03d}",
        "patient": f"pa_{number}",
        "labels": (label(1),),
        "stratum": "override",
        "consent": "patient",
        "copy_id": f"tc_{number}",
        "pixel_sha256": f"p{number}",
        **changes,
    }
    return Candidate(**facts)  # type: ignore[arg-type]


def known(candidates: list[Candidate], **changes: object) -> Known:
    facts = {"there": {one.copy_id for one in candidates}, "patients": {}, "pixels": {}, **changes}
    return Known(**facts)  # type: ignore[arg-type]


def verdict(number: int, kind: VerdictKind, reader: str, awareness: Awareness, minutes: int) -> Verdict:
    return Verdict(
        id=f"ve_{number}",
        result_id="re_1",
        version_id="sv_1",
        target="pneumonia",
        kind=kind,
        reader=reader,
        actor=reader,
        at=NOW + timedelta(minutes=minutes),
        awareness=awareness,
        source=VerdictSource.REST,
        source_id=str(number),
    )


def finding(probability: float) -> Finding:
    return Finding(
        target="pneumonia", code=CODE, probability=probability, threshold=0.5, urgency=Urgency.ROUTINE, instance_id="in"
    )


splits = st.sampled_from(Split)
readers = st.sampled_from(("r1", "r2", "r3", "r4"))
words = st.lists(st.tuples(readers, st.integers(0, 1), st.sampled_from(Awareness)), max_size=5).map(
    lambda found: tuple({reader: label(value, reader, seen) for reader, value, seen in found}.values())
)
few = st.integers(0, 5)
candidates_of = st.lists(
    st.builds(
        lambda patient, labels, consent, pixels, wanted: (patient, labels, consent, pixels, wanted),
        few,
        words,
        st.sampled_from((None, "patient", "policy", "imported")),
        few,
        st.none() | splits,
    ),
    max_size=24,
).map(
    lambda rows: [
        candidate(n, patient=f"pa_{patient}", labels=labels, consent=consent, pixel_sha256=f"p{pixels}", wanted=wanted)
        for n, (patient, labels, consent, pixels, wanted) in enumerate(rows)
    ]
)
placements = st.dictionaries(few, splits)


@given(candidates_of, placements, placements, st.dictionaries(st.integers(0, 23), st.integers(0, 4)), placements)
def test_no_set_of_candidates_gets_past_a_guard(
    candidates: list[Candidate],
    patients: dict[int, Split],
    pixels: dict[int, Split],
    groups: dict[int, int],
    group_splits: dict[int, Split],
) -> None:
    alike = Alike({f"tc_{n}": f"g{g}" for n, g in groups.items()}, {f"g{g}": s for g, s in group_splits.items()})
    there = {one.copy_id for one in candidates if one.content_sha256 != "c003"}
    facts = Known(
        there=there,
        patients={f"pa_{n}": split for n, split in patients.items()},
        pixels={f"p{n}": split for n, split in pixels.items()},
        alike=alike,
    )
    for shares in SHARES.values():
        sifted = sift_all(candidates, facts, shares)
        assert len(sifted.kept) + sifted.left_out.total() == len(candidates)
        for keep_together in (lambda one: one.patient, lambda one: one.pixel_sha256, alike.group_of):
            found = {(keep_together(one), one.split) for one in sifted.kept}
            assert len(found) == len({key for key, _ in found})
        for one in sifted.kept:
            assert one.consent
            assert one.copy_id in there
            assert one.split in {split for _, split in shares}
            assert facts.patients.get(one.patient, one.split) is one.split
            assert facts.pixels.get(one.pixel_sha256, one.split) is one.split
            assert alike.splits.get(alike.group_of(one), one.split) is one.split
            ones = sum(said.value for said in one.labels)
            assert ones * 2 != len(one.labels), "as many say yes as no"
            chosen = label_for(one.labels, one.split)
            assert chosen is not None
            assert chosen.value == int(ones * 2 > len(one.labels))
            if one.split is Split.TEST:
                assert chosen.awareness is Awareness.BLINDED


@given(candidates_of, st.randoms())
def test_who_stays_does_not_depend_on_the_order_of_rows(candidates: list[Candidate], random: object) -> None:
    shuffled = list(candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = sift_all(candidates, known(candidates), SHARES[Purpose.ALL])
    second = sift_all(shuffled, known(candidates), SHARES[Purpose.ALL])
    assert {one.copy_id for one in first.kept} == {one.copy_id for one in second.kept}
    assert first.left_out == second.left_out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"consent": None}, Reason.NO_CONSENT),
        ({"copy_id": "gone"}, Reason.GONE),
        ({"labels": ()}, Reason.DISAGREEMENT),
        ({"labels": (label(1), label(0, "r2"))}, Reason.DISAGREEMENT),
        ({"wanted": Split.TEST, "labels": (label(1, awareness=Awareness.SAW_AI),)}, Reason.NOT_BLINDED),
        ({"wanted": Split.TEST, "labels": (label(1, awareness=Awareness.CORRECTED),)}, Reason.NOT_BLINDED),
    ],
)
def test_each_guard_counts_what_it_leaves_out(changes: dict[str, object], reason: Reason) -> None:
    good = candidate(1)
    sifted = sift_all([good, candidate(2, **changes)], known([good, candidate(2)]), SHARES[Purpose.ALL])
    assert [one.copy_id for one in sifted.kept] == ["tc_1"]
    assert sifted.left_out == {reason: 1}


def test_what_measures_keeps_a_picture_that_training_has_too() -> None:
    pair = [candidate(1, wanted=Split.TRAIN, pixel_sha256="p"), candidate(2, wanted=Split.TEST, pixel_sha256="p")]
    sifted = sift_all(pair, known(pair), SHARES[Purpose.ALL])
    assert [one.copy_id for one in sifted.kept] == ["tc_2"]
    assert sifted.left_out == {Reason.PIXELS: 1}


def test_a_patient_wanted_in_two_splits_stays_in_the_one_that_measures() -> None:
    pair = [candidate(n, wanted=split, patient="pa") for n, split in enumerate((Split.TRAIN, Split.VALIDATION))]
    sifted = sift_all(pair, known(pair), SHARES[Purpose.ALL])
    assert [one.split for one in sifted.kept] == [Split.VALIDATION]
    assert sifted.left_out == {Reason.PATIENT: 1}


def test_nearly_the_same_pictures_stay_in_one_split() -> None:
    pair = [candidate(1, wanted=Split.TRAIN), candidate(2, wanted=Split.TEST)]
    facts = known(pair, alike=Alike({"tc_1": "g", "tc_2": "g"}))
    assert sift_all(pair, facts, SHARES[Purpose.ALL]).left_out == {Reason.ALIKE: 1}


def test_a_patient_placed_before_keeps_the_split_and_is_left_out_where_it_is_not_wanted() -> None:
    one = candidate(1)
    facts = known([one], patients={"pa_1": Split.VALIDATION})
    assert [kept.split for kept in sift_all([one], facts, SHARES[Purpose.ALL]).kept] == [Split.VALIDATION]
    assert sift_all([one], facts, SHARES[Purpose.TEST]).left_out == {Reason.PATIENT: 1}


def test_what_a_table_keeps_for_testing_is_not_trained_on() -> None:
    one = candidate(1, wanted=Split.TEST)
    assert sift_all([one], known([one]), SHARES[Purpose.TRAIN]).left_out == {Reason.PURPOSE: 1}


def test_patients_divide_as_the_table_says_and_always_the_same() -> None:
    found = [split_of(f"pa_{n}", SHARES[Purpose.ALL]) for n in range(20_000)]
    assert found[:2_000] == [split_of(f"pa_{n}", SHARES[Purpose.ALL]) for n in range(2_000)]
    for split, share in ((Split.TRAIN, 0.70), (Split.VALIDATION, 0.15), (Split.TEST, 0.15)):
        assert abs(found.count(split) / len(found) - share) < 0.015
    # Fixed for ever: whoever changes salt or hash moves patients between splits.
    assert [split_of(f"pa_{n}", SHARES[Purpose.ALL]) for n in range(10, 15)] == [
        Split.TRAIN, Split.TEST, Split.VALIDATION, Split.VALIDATION, Split.TRAIN,
    ]  # fmt: skip


@given(words)
def test_a_third_reader_decides_and_a_tie_decides_nothing(labels: tuple[Label, ...]) -> None:
    ones, zeros = (sum(said.value == value for said in labels) for value in (1, 0))
    assert resolved(labels) == (None if ones == zeros else int(ones > zeros))


def test_blinded_readers_alone_must_come_to_the_same_in_a_test_set() -> None:
    saw = Awareness.SAW_AI
    labels = (label(0, "r1"), label(1, "r2", saw), label(1, "r3", saw))
    train = label_for(labels, Split.TRAIN)
    assert train is not None
    assert train.value == 1
    assert label_for(labels, Split.TEST) is None
    assert label_for((*labels, label(1, "r4"), label(1, "r5")), Split.TEST) == label(1, "r4")


@given(st.lists(st.tuples(readers, st.sampled_from((VerdictKind.CONFIRM, VerdictKind.REJECT)), st.integers(0, 9))))
def test_only_a_readers_newest_verdict_counts(said: list[tuple[str, VerdictKind, int]]) -> None:
    made = [
        Word(verdict(n, kind, reader, Awareness.BLINDED, minutes), finding(0.9), int(kind is VerdictKind.CONFIRM))
        for n, (reader, kind, minutes) in enumerate(said)
    ]
    kept = newest(reversed(made))
    assert len({word.verdict.reader for word in kept}) == len(kept) == len({reader for reader, _, _ in said})
    for word in kept:
        mine = [one.verdict for one in made if one.verdict.reader == word.verdict.reader]
        assert word.verdict.at == max(one.at for one in mine)


def judged(number: int, probability: float, kind: VerdictKind = VerdictKind.CONFIRM) -> Judged:
    word = Word(verdict(number, kind, "r1", Awareness.BLINDED, 0), finding(probability), 1)
    return Judged(f"st_{number}", (word,), "pa", None)


def test_agreements_are_drawn_with_the_probability_that_is_written_down_and_again_the_same() -> None:
    draw = Draw("verdicts", 7, 0.25, 0.1)
    found = [stratum_of(judged(n, 0.95), draw) for n in range(4_000)]
    assert set(found) == {None, ("agreement", 0.25)}
    assert abs(sum(one is not None for one in found) / len(found) - 0.25) < 0.03
    assert found == [stratum_of(judged(n, 0.95), draw) for n in range(4_000)]
    assert found != [stratum_of(judged(n, 0.95), replace(draw, seed=8)) for n in range(4_000)]


def test_overrides_and_uncertain_agreements_are_always_drawn() -> None:
    draw = Draw("verdicts", 0, 0.0, 0.1)
    assert stratum_of(judged(1, 0.95, VerdictKind.REJECT), draw) == ("override", 1.0)
    assert stratum_of(judged(1, 0.6), draw) == ("uncertain", 1.0)
    assert stratum_of(judged(1, 0.4), draw) == ("uncertain", 1.0)
    assert stratum_of(judged(1, 0.61), draw) is None


def member(number: int, scanner: str, split: Split) -> CohortMember:
    return CohortMember(
        copy_id=f"tc_{number}",
        patient=f"pa_{number}",
        instance_id=None,
        content_sha256=f"c{number}",
        pixel_sha256=f"p{number}",
        split=split,
        label=label(1),
        facts=Facts(scanner=scanner),
        stratum="import",
        probability=1.0,
    )


def test_replay_is_balanced_by_scanner_and_writes_down_its_probability() -> None:
    common = [member(n, "common", Split.TRAIN) for n in range(1_000)]
    rare = [member(n, "rare", Split.TRAIN) for n in range(2_000, 2_020)]
    tests = [member(n, "common", Split.TEST) for n in range(3_000, 3_700)]
    kept = replayed([*common, *rare, *tests], 0)
    by = {(one.facts.scanner, one.split, one.probability) for one in kept}
    assert by == {
        ("common", Split.TRAIN, 0.5), ("rare", Split.TRAIN, 1.0), ("common", Split.TEST, 1.0),
    }  # fmt: skip
    assert len(kept) == 500 + 20 + 700
    assert kept == replayed([*common, *rare, *tests], 0)


@given(st.text(max_size=20), st.text(max_size=20))
def test_chance_is_of_the_unit_interval(one: str, two: str) -> None:
    assert 0.0 <= chance(one, two) < 1.0
