"""Times of a schedule: what cron knows is taken, what it does not is refused with the part that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect._vendor.croniter import croniter

from radloop.settings import Schedule
from radloop.settings.crons import check

TAKEN = ("*/15 * * * *", "0 3 * * *", "0 6 1 1,4,7,10 *", "0 0 * * mon-fri", "5/10 * * * *", "@daily", "0 0 * * 0-7")
REFUSED = (
    ("* * * *", "five parts"),
    ("", "five parts"),
    ("60 * * * *", "minute"),
    ("0 24 * * *", "hour"),
    ("0 0 0 * *", "day of month"),
    ("0 0 * 13 *", "month"),
    ("0 0 * * 8", "day of week"),
    ("*/0 * * * *", "minute"),
    ("5-1 * * * *", "minute"),
    ("0 0 * * mon-", "day of week"),
    ("a b c d e", "minute"),
)


@pytest.mark.parametrize("text", TAKEN)
def test_what_cron_knows_is_taken_as_it_stands_and_prefect_knows_it_too(text: str) -> None:
    assert check(text) == text
    assert croniter.is_valid(text)


@pytest.mark.parametrize(("text", "part"), REFUSED)
def test_what_it_does_not_know_is_refused_with_the_part_that_is_wrong(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        check(text)


def test_a_schedule_of_the_settings_is_held_to_it() -> None:
    with pytest.raises(ValueError, match="hour"):
        Schedule(flow="watch", cron="0 25 * * *")


PARTS = st.sampled_from(("*", "0", "5", "7", "12", "31", "70", "1-5", "5-1", "*/15", "1-9/2", "mon", "jan", "1,3", ""))


@given(st.lists(PARTS, min_size=4, max_size=6).map(" ".join))
def test_nothing_is_taken_that_prefect_would_refuse(text: str) -> None:
    try:
        check(text)
    except ValueError:
        return
    assert croniter.is_valid(text)
