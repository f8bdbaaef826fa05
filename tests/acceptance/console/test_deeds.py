"""What people do on the pages, with mouse and keys in a real Chromium: it is done and said, or refused."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from models.phantoms.chest import chest
from radloop.domain.access import Role
from tests.acceptance.conftest import saved
from tests.acceptance.console.browsing import Visitor, visiting
from tests.acceptance.console.conftest import Furnished

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]


def answer(page: Page, text: str = "") -> None:
    """Fill in what the dialog asks for, and go on."""
    if text:
        page.fill("#ask-text", text)
    page.click("#ask-yes")


@pytest.fixture
def keeper(browser: Browser, furnished: Furnished) -> Iterator[Visitor]:
    """Somebody of hospital IT."""
    with visiting(browser, furnished.world.house, "visitor-keeper", [Role.IT]) as visitor:
        yield visitor
        assert visitor.problems == []


def test_hospital_it_tries_a_peer_and_makes_pauses_runs_and_removes_a_schedule(keeper: Visitor) -> None:
    page = keeper.open("/operations")
    page.get_by_role("button", name="Test pacs").click()
    expect(page.locator("#said")).to_contain_text("C-ECHO answered in")
    page.locator("#schedules-card summary").click()
    form = page.locator("#schedules-card form")
    form.locator("[name=name]").fill("seldom")
    form.locator("[name=flow]").select_option("watch")
    form.locator("[name=cron]").fill("0 5 1 1 *")
    form.get_by_role("button", name="Make it").click()
    row = page.locator("#schedules tr", has_text="seldom")
    expect(row.get_by_text("by the clock")).to_be_visible(timeout=30_000)
    row.get_by_role("button", name="Pause").click()
    expect(row.get_by_text("paused")).to_be_visible()
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_text("by the clock")).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    answer(page)
    expect(row).to_have_count(0)
    form.locator("[name=name]").fill("seldom")
    form.locator("[name=cron]").fill("every now and then")
    form.get_by_role("button", name="Make it").click()
    expect(page.locator("#said")).to_contain_text("cron")
    # The browser itself writes a refusal down.
    (refusal,) = keeper.problems
    assert "422" in refusal
    keeper.problems.clear()


def test_hospital_it_silences_all_goes_live_with_one_modality_and_then_with_everything(
    keeper: Visitor, furnished: Furnished
) -> None:
    try:
        page = keeper.open("/operations/go-live")
        page.get_by_role("button", name="Stop: silence all").click()
        answer(page, "A rehearsal")
        expect(page.get_by_text("A rehearsal").first).to_be_visible()
        page.get_by_role("checkbox", name="MR").check()
        page.fill("#why", "Brain first")
        page.get_by_role("button", name="Widen to what is chosen").click()
        expect(page.get_by_text("Brain first").first).to_be_visible()
        page.get_by_role("button", name="Everything live").click()
        answer(page, "The rehearsal is over")
        expect(page.get_by_text("The rehearsal is over").first).to_be_visible()
    finally:
        # The other tests' studies are to be answered aloud.
        furnished.world.house.cli("golive", "widen", "--all", "--why", "the test is over", check=False)


def test_an_admin_issues_a_token_that_opens_what_it_says_until_it_is_ended_and_bars_its_owner(
    browser: Browser, furnished: Furnished
) -> None:
    house = furnished.world.house
    house.json("actor", "add", "night-shift", "--role", "READER")
    with visiting(browser, house, "visitor-warden", [Role.ADMIN]) as visitor:

        def opens(secret: str) -> int:
            header = {"Authorization": f"Bearer {secret}"}
            return httpx.get(f"{visitor.url}/api/v1/worklist", headers=header, trust_env=False).status_code

        page = visitor.open("/access?text=night-shift")
        page.get_by_role("link", name="night-shift").click()
        page.get_by_text("Issue a token").click()
        page.fill("[data-token] [name=name]", "the night")
        page.get_by_role("checkbox", name="view studies").check()
        page.get_by_role("button", name="Issue it").click()
        expect(page.locator("#secret-text")).not_to_be_empty()
        secret = page.locator("#secret-text").inner_text()
        assert opens(secret) == 200
        page.get_by_role("link", name="I have it").click()
        page.locator("tr", has_text="the night").get_by_role("button").click()
        answer(page)
        expect(page.locator("tr", has_text="the night")).to_have_count(0)
        assert opens(secret) == 401
        page.get_by_role("button", name="Disable").click()
        answer(page)
        expect(page.get_by_text("disabled", exact=True).first).to_be_visible()
        page.get_by_role("button", name="Enable").click()
        answer(page)
        expect(page.get_by_text("may come in")).to_be_visible()
        assert visitor.problems == []


def test_governance_has_a_report_made_and_checked_and_the_whole_record_walked_and_taken_out(
    browser: Browser, furnished: Furnished
) -> None:
    with visiting(browser, furnished.world.house, "visitor-auditor", [Role.GOVERNANCE]) as visitor:
        page = visitor.open("/drift")
        page.get_by_role("button", name="Make a report").click()
        verify = page.get_by_role("button", name="Verify")
        expect(verify).to_be_visible(timeout=60_000)
        verify.click()
        expect(page.locator("#said")).to_contain_text("signature holds")
        visitor.open("/audit")
        visitor.press("v")
        expect(page.get_by_text("The record is sound.")).to_be_visible(timeout=30_000)
        with page.expect_download() as taken:
            page.get_by_role("link", name="CSV").click()
        assert taken.value.path().read_text(encoding="utf-8").count("\n") > 20
        assert visitor.problems == []


def test_a_reader_rejects_modifies_adds_and_calls_an_answer_useful_and_all_of_it_is_on_record(
    browser: Browser, furnished: Furnished
) -> None:
    house, study = furnished.world.house, furnished.scripted
    with visiting(browser, house, "visitor-critic", [Role.READER]) as visitor:
        page = visitor.open(f"/studies/{study['id']}")
        said = page.locator("#said")
        visitor.press("1", "r")
        expect(said).to_contain_text("Thank you")
        expect(page.locator("#findings .own").first).to_be_visible()
        visitor.press("1", "m")
        page.locator("#word-severity").select_option(index=1)
        page.keyboard.press("Enter")
        expect(page.locator("dialog#word")).not_to_be_visible()
        visitor.press("a")
        page.locator("#word-code").select_option("own")
        for name, text in (("value", "36118008"), ("scheme", "SCT"), ("meaning", "Pneumothorax")):
            page.fill(f"#own-{name}", text)
        page.get_by_role("button", name="Enter", exact=False).last.click()
        expect(page.get_by_text("added: Pneumothorax")).to_be_visible()
        visitor.press("Escape", "u")
        expect(page.locator("[data-answer] [aria-pressed=true]")).to_have_count(1)
        assert visitor.faults() == []
        assert visitor.problems == []
    (chain,) = house.json("explain", study["results"][0]["id"])
    kinds = {child["kind"] for child in chain["children"] if child.get("by") == "visitor-critic"}
    assert kinds == {"verdict"}


def test_in_blinded_mode_the_reader_speaks_first_and_then_sees_the_answer(
    browser: Browser, furnished: Furnished
) -> None:
    with visiting(browser, furnished.world.house, "visitor-blind", [Role.READER]) as visitor:
        page = visitor.open(f"/studies/{furnished.chest['id']}?blinded=1")
        expect(page.locator("#blind")).to_be_visible()
        assert page.locator("#findings [data-heat]").count() == 0
        visitor.press("1", "p")
        visitor.press("e")
        expect(page.get_by_text("before the AI").first).to_be_visible()
        expect(page.get_by_text("AI result, not a diagnosis.")).to_be_visible()
        assert visitor.problems == []


def test_a_change_that_arrives_while_a_blinded_reader_speaks_takes_no_word_away(
    browser: Browser, furnished: Furnished
) -> None:
    with visiting(browser, furnished.world.house, "visitor-late", [Role.READER]) as visitor:
        page, on_its_way = visitor.page, list[Route]()
        page.route("**/part?name=findings*", lambda route: on_its_way.append(route))  # noqa: PLW0108 - not a builtin
        visitor.open(f"/studies/{furnished.chest['id']}?blinded=1")
        with page.expect_request("**/part?name=findings*"):
            page.evaluate("htmx.trigger('#findings', 'live')")
        visitor.press("1", "p")
        expect(page.locator("#blind input:checked")).to_have_count(1)
        with page.expect_response("**/part?name=findings*") as answered:
            for route in on_its_way:
                route.continue_()
        answered.value.finished()
        page.wait_for_timeout(500)
        expect(page.locator("#blind input:checked")).to_have_count(1)
        assert visitor.problems == []


def test_a_study_that_comes_in_shows_on_a_worklist_that_nobody_reloads(
    browser: Browser, furnished: Furnished, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, "visitor-watcher", [Role.READER]) as visitor:
        page = visitor.open("/worklist")
        time.sleep(1.0)
        film = chest(911, opacity=True)
        furnished.world.send(saved(tmp_path, film))
        expect(page.get_by_text(str(film.AccessionNumber)).first).to_be_visible(timeout=30_000)
        assert visitor.problems == []
