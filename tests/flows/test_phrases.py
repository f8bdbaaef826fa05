"""A site's phrases over a report's text: absent before present, bounded in time."""

import time

import pytest

from flows.phrases import SECONDS, Hearing, Question, hear

PNEUMONIA = Question(absent=(r"no (evidence of )?pneumonia",), present=("pneumonia", r"consolidation\b"))


@pytest.mark.parametrize(
    ("text", "hearing"),
    [
        ("Lungs clear.", Hearing.SILENT),
        ("", Hearing.SILENT),
        ("PNEUMONIA of the left lower lobe", Hearing.PRESENT),
        ("There is no evidence\n  of pneumonia.", Hearing.ABSENT),
        ("No pneumonia on the left. Pneumonia on the right.", Hearing.CONTRADICTORY),
        ("No pneumonia. Consolidation?", Hearing.CONTRADICTORY),
    ],
)
def test_what_an_absent_phrase_says_is_not_said_by_a_present_one_too(text: str, hearing: Hearing) -> None:
    assert hear(text, [PNEUMONIA]) == (hearing,)


def test_a_pattern_that_matches_nothing_at_all_says_nothing() -> None:
    assert hear("Lungs clear.", [Question(absent=("x*",), present=("y*",))]) == (Hearing.SILENT,)


def test_a_present_pattern_does_not_reach_over_what_was_taken_out() -> None:
    question = Question(absent=("no effusion",), present=("lungs.*clear",))
    assert hear("lungs no effusion clear", [question]) == (Hearing.ABSENT,)


def test_without_patterns_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", None)
    assert hear("pneumonia", [Question((), ())]) == (Hearing.SILENT,)
    assert hear("pneumonia", []) == ()


def test_a_catastrophic_pattern_ends_in_time_and_what_was_heard_before_it_stays() -> None:
    slow, began = Question(absent=(), present=("(a+)+$",)), time.monotonic()
    assert hear("pneumonia " + "a" * 60 + "!", [PNEUMONIA, slow, PNEUMONIA]) == (
        Hearing.PRESENT,
        Hearing.TOO_SLOW,
        Hearing.TOO_SLOW,
    )
    assert time.monotonic() - began < 2 * SECONDS + 5


def test_text_of_any_alphabet_goes_in_as_it_is() -> None:
    question = Question(absent=("ohne Anhalt für eine Pneumonie",), present=("肺炎",))
    assert hear("Ohne Anhalt FÜR eine Pneumonie", [question]) == (Hearing.ABSENT,)
    assert hear("右下肺炎", [question]) == (Hearing.PRESENT,)
