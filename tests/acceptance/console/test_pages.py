"""Every page by every role in a real Chromium: what may be opened opens, says nothing wrong, and axe finds no fault."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from models.phantoms.brain import brain_slices
from models.phantoms.chest import chest
from models.phantoms.head_ct import head_ct
from radloop.domain.access import GRANTS, Role
from serving.console.navigation import PAGES
from tests.acceptance.conftest import saved
from tests.acceptance.console.browsing import PHONE, visiting
from tests.acceptance.console.conftest import Furnished
from tests.acceptance.console.paths import doors

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]
PICTURED = {page.path for page in PAGES}
PICTURES = Path(os.environ.get("RADLOOP_PICTURES", ""))
"""Where screenshots go; not kept where it is not set."""


def pictured(page_name: str, tmp_path: Path) -> tuple[Path, str]:
    return (PICTURES if os.environ.get("RADLOOP_PICTURES") else tmp_path), page_name


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_its_pages_without_a_serious_fault_and_is_refused_the_others(
    browser: Browser, furnished: Furnished, role: Role, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, f"visitor-{role.lower()}", [role]) as visitor:
        for door in doors(furnished.ids):
            if not door.wanted <= GRANTS[role]:
                answer = visitor.page.request.get(visitor.url + door.path)
                assert answer.status == 403, door.path
                continue
            visitor.open(door.path)
            assert visitor.faults() == [], door.path
            if door.path in PICTURED:
                visitor.picture(*pictured(door.path.strip("/"), tmp_path))
            assert visitor.sideways(PHONE) <= 0, door.path
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
            visitor.open(path)
            assert visitor.sideways(PHONE) <= 0
            assert visitor.faults() == []
            visitor.picture(*pictured(name, tmp_path))


def test_at_200_percent_no_page_of_a_reader_scrolls_sideways(browser: Browser, furnished: Furnished) -> None:
    # WCAG 2.2, 1.4.10: 1280 px wide at 200 % is 640 px.
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        for path in ("/worklist", "/upload", "/models", "/lineage", f"/studies/{furnished.chest['id']}"):
            visitor.open(path)
            assert visitor.sideways((640, 450)) <= 0, path


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


def radiograph(folder: Path) -> Path:
    return saved(folder, chest(904, opacity=True))[0]


def screenshot(folder: Path) -> Path:
    (pixels, path) = chest(906, opacity=True).pixel_array, folder / "chest.png"
    Image.fromarray((pixels >> 4).astype(np.uint8)).save(path)
    return path


def head(folder: Path) -> Path:
    return saved(folder, head_ct(907, bleed=True)[0])[0]


@pytest.mark.parametrize(
    ("made", "finding"), [(radiograph, "pneumonia"), (screenshot, "pneumonia"), (head, "haemorrhage")]
)
def test_a_file_dropped_on_upload_becomes_a_report(
    browser: Browser, furnished: Furnished, tmp_path: Path, made: Callable[[Path], Path], finding: str
) -> None:
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open("/upload")
        page.set_input_files("#files", made(tmp_path))
        page.wait_for_url("**/upload/up_*", timeout=30_000)
        expect(page.get_by_text(finding, exact=False).first).to_be_visible()
        expect(page.get_by_text("AI result, not a diagnosis").first).to_be_visible()
        expect(page.get_by_text("Structured report (DICOM SR)")).to_be_visible()
        assert visitor.faults() == []
        assert visitor.problems == []
        visitor.picture(*pictured(f"upload-{made.__name__}", tmp_path))


def test_a_folder_dropped_on_upload_is_walked_and_what_is_no_image_in_it_is_told(
    browser: Browser, furnished: Furnished, tmp_path: Path
) -> None:
    folder = tmp_path / "disc" / "series"
    folder.mkdir(parents=True)
    saved(folder, *brain_slices(905, lesion=True, count=3))
    (tmp_path / "disc" / "README.TXT").write_text("no image")
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open("/upload")
        visitor.drop(tmp_path / "disc", ".drop")
        page.wait_for_url("**/upload/up_*", timeout=30_000)
        expect(page.get_by_text("Structured report (DICOM SR)")).to_be_visible()
        expect(page.locator("#said")).to_contain_text("Not taken: 1 of 4 (no DICOM file and no picture, or damaged)")
        page.goto(visitor.url + "/upload")
        expect(page.locator("tbody tr").first.locator("td.number")).to_have_text("3")
        assert visitor.problems == []


def test_a_file_that_is_no_image_is_told_in_words_and_leaves_no_upload_behind(
    browser: Browser, furnished: Furnished, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("no image")
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open("/upload")
        before = page.locator("tbody tr").count()
        page.set_input_files("#files", tmp_path / "note.txt")
        expect(page.locator("#said")).to_contain_text("No image in this could be taken: no DICOM file and no picture")
        page.reload()
        assert page.locator("tbody tr").count() == before
        expect(page.locator("#said")).to_contain_text("No image in this could be taken")
        assert visitor.problems == []


def test_a_study_opens_in_the_viewer_of_the_pacs(browser: Browser, furnished: Furnished) -> None:
    pacs = furnished.world.pacs
    with visiting(browser, furnished.world.house, "visitor-reader", [Role.READER]) as visitor:
        page = visitor.open(f"/studies/{furnished.chest['id']}")
        with page.expect_popup() as opened:
            visitor.press("o")
        opened.value.wait_for_load_state("load")
        assert opened.value.url == f"{pacs.url}/app/explorer.html?study={furnished.chest['study_uid']}"
        assert "Orthanc" in opened.value.title()
        assert opened.value.evaluate("document.referrer") == ""


def test_whoever_decides_on_drift_acknowledges_an_alarm_with_a_reason_and_its_page_says_who(
    browser: Browser, furnished: Furnished, tmp_path: Path
) -> None:
    with visiting(browser, furnished.world.house, "visitor-decider", [Role.ML]) as visitor:
        page = visitor.open(f"/drift/alarms/{furnished.ids['alarm_id']}")
        page.get_by_role("button", name="Acknowledge").click()
        page.fill("#ask-text", "The tube was replaced on Monday")
        visitor.picture(*pictured("alarm-decision", tmp_path))
        page.click("#ask-yes")
        expect(page.get_by_text("visitor-decider: acknowledge. The tube was replaced on Monday")).to_be_visible()
        visitor.picture(*pictured("alarm", tmp_path))
        assert visitor.faults() == []
        assert visitor.problems == []


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
