"""Every page by every role in a real Chromium: what may be opened opens, says nothing wrong, and axe finds no fault."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from models.phantoms.chest import chest
from radloop.domain.access import GRANTS, Role
from serving.console.navigation import PAGES
from tests.acceptance.conftest import saved
from tests.acceptance.console.browsing import PHONE, visiting
from tests.acceptance.console.conftest import Furnished

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
PICTURES = Path(os.environ.get("RADLOOP_PICTURES", ""))
"""Where screenshots go; not kept where it is not set."""


def pictured(page_name: str, tmp_path: Path) -> tuple[Path, str]:
    return (PICTURES if os.environ.get("RADLOOP_PICTURES") else tmp_path), page_name


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_pages_without_a_serious_fault_and_is_refused_the_others(
    browser: Browser, furnished: Furnished, role: Role, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, f"visitor-{role.lower()}", [role]) as visitor:
        for page in PAGES:
            if page.permission not in GRANTS[role]:
                answer = visitor.page.request.get(visitor.url + page.path)
                assert answer.status == 403, page.path
                continue
            visitor.open(page.path)
            assert visitor.faults() == [], page.path
            if role in (Role.READER, Role.IT, Role.ML, Role.GOVERNANCE, Role.ADMIN):
                visitor.picture(*pictured(page.path.strip("/"), tmp_path))
        assert visitor.problems == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_study_is_legible_in_both_themes_and_without_a_serious_fault(
    browser: Browser, furnished: Furnished, theme: str, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER], theme=theme) as visitor:
        for name, row in (("study", furnished.chest), ("stack", furnished.brain)):
            visitor.open(f"/studies/{row['id']}")
            visitor.page.wait_for_timeout(800)
            assert visitor.faults() == []
            visitor.press("h")
            visitor.page.wait_for_timeout(300)
            visitor.picture(*pictured(f"{name}-{theme}", tmp_path))
        assert visitor.problems == []


def test_on_a_phone_the_worklist_and_a_study_fit_without_scrolling_sideways(
    browser: Browser, furnished: Furnished, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER], size=PHONE) as visitor:
        for name, path in (("worklist-phone", "/worklist"), ("study-phone", f"/studies/{furnished.chest['id']}")):
            page = visitor.open(path)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert visitor.faults() == []
            visitor.picture(*pictured(name, tmp_path))


def test_at_200_percent_no_page_of_a_reader_scrolls_sideways(browser: Browser, furnished: Furnished) -> None:
    # WCAG 2.2, 1.4.10: 1280 px wide at 200 % is 640 px.
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER], size=(640, 450)) as visitor:
        for path in ("/worklist", "/upload", "/models", "/lineage", f"/studies/{furnished.chest['id']}"):
            page = visitor.open(path)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_a_script_in_a_patient_s_name_is_shown_as_text(browser: Browser, furnished: Furnished) -> None:
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        alarmed: list[str] = []
        visitor.page.on("dialog", lambda dialog: (alarmed.append(dialog.message), dialog.dismiss()))
        for path in ("/worklist", f"/studies/{furnished.scripted['id']}"):
            page = visitor.open(path)
            expect(page.get_by_text("<script>alert(1)</script>", exact=False).first).to_be_visible()
        assert (alarmed, visitor.problems) == ([], [])


def test_keys_walk_the_worklist_open_a_study_and_go_to_pages(browser: Browser, furnished: Furnished) -> None:
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open("/worklist")
        visitor.press("j")
        assert page.locator("tr[data-row].current").count() == 1
        visitor.press("j", "k", "Enter")
        page.wait_for_url("**/studies/*")
        visitor.press("g", "u")
        page.wait_for_url("**/upload")
        visitor.press("?")
        expect(page.locator("dialog#keys")).to_be_visible()


def test_a_file_dropped_on_upload_becomes_a_report(browser: Browser, furnished: Furnished, tmp_path: Path) -> None:
    (file,) = saved(tmp_path, chest(904, opacity=True))
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open("/upload")
        page.set_input_files("#files", file)
        page.wait_for_url("**/upload/up_*", timeout=30_000)
        expect(page.get_by_text("AI result, not a diagnosis").first).to_be_visible()
        expect(page.get_by_text("Structured report (DICOM SR)")).to_be_visible()
        assert visitor.faults() == []
        assert visitor.problems == []
        visitor.picture(*pictured("upload-report", tmp_path))


def test_a_verdict_is_two_keys_and_a_sign_off_closes_the_study_once(browser: Browser, furnished: Furnished) -> None:
    with visiting(browser, furnished.world.house, "visitor-signer", [Role.READER]) as visitor:
        visitor.open(f"/studies/{furnished.brain['id']}")
        visitor.press("1", "c")
        expect(visitor.page.locator("#said")).to_contain_text("Thank you")
        visitor.press("s", "s")
        expect(visitor.page.get_by_text("visitor-signer", exact=False).last).to_be_visible()
        expect(visitor.page.get_by_text("signed", exact=False).first).to_be_visible()
    house = furnished.world.house
    assert house.studies()[furnished.brain["study_uid"]]["state"] == "SIGNED"
    (chain,) = house.json("explain", furnished.brain["results"][0]["id"])
    said = [child for child in chain["children"] if child["kind"] in ("verdict", "sign-off")]
    assert [(one["kind"], one["by"]) for one in said] == [("verdict", "visitor-signer"), ("sign-off", "visitor-signer")]


def test_logging_out_ends_the_session_for_the_back_button_too(browser: Browser, furnished: Furnished) -> None:
    with visiting(browser, furnished.world.house, "visitor-leaver", [Role.READER]) as visitor:
        page = visitor.open("/worklist")
        page.click("details.menu > summary")
        page.get_by_role("button", name="Log out", exact=True).click()
        page.wait_for_url("**/login*")
        page.go_back()
        page.wait_for_url("**/login*")
