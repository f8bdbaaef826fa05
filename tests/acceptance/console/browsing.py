"""A person with a real browser: logs in as somebody with these roles, and looks at pages of a whole house."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from radloop.domain.access import Role
from tests.acceptance.house import House

SERIOUS = ("serious", "critical")
WIDE, PHONE = (1440, 900), (390, 844)


@dataclass
class Visitor:
    """One browser window of somebody who has logged in, and what went wrong in it."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """A page, loaded whole."""
        answer = self.page.goto(self.url + path, wait_until="load")
        assert answer is not None
        assert answer.ok, (path, answer.status)
        return self.page

    def press(self, *keys: str) -> Page:
        """Keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)
        return self.page

    def faults(self) -> list[str]:
        """What axe finds that is serious, in its own words and where."""
        found = Axe().run(self.page).response["violations"]
        return [_said(one) for one in found if one["impact"] in SERIOUS]

    def sideways(self, size: tuple[int, int]) -> int:
        """How many pixels the open page would scroll sideways in a window of this size, which it has for a moment."""
        before = self.page.viewport_size
        assert before is not None
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        beyond = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        self.page.set_viewport_size(before)
        return int(beyond)

    def drop(self, path: Path, selector: str) -> None:
        """Let go of a file or a folder over an element, as a hand would; Playwright itself can drop data alone."""
        box = self.page.locator(selector).bounding_box()
        assert box is not None
        session = self.page.context.new_cdp_session(self.page)
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
        session.detach()

    def picture(self, folder: Path, name: str) -> Path:
        """A screenshot of what is seen now."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def visiting(
    browser: Browser, house: House, name: str, roles: Sequence[Role], size: tuple[int, int] = WIDE, theme: str = "dark"
) -> Iterator[Visitor]:
    """Somebody of this name and roles, logged in by their personal token as a person would."""
    secret = token_of(house, name, roles)
    url = address_of(house)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.add_cookies([{"name": "theme", "value": theme, "url": url}])
    page = context.new_page()
    visitor = Visitor(page, url)
    # What the policy refuses or a script throws is a fault of ours.
    page.on("console", lambda said: visitor.problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: visitor.problems.append(str(error)))
    page.goto(url + "/login")
    page.fill("#token", secret)
    page.click("button.primary")
    page.wait_for_url(lambda now: "/login" not in now)
    yield visitor
    context.close()


def token_of(house: House, name: str, roles: Sequence[Role]) -> str:
    known = {row["name"] for row in house.json("actor", "list")}
    renew = ["--renew"] if name in known else [one for role in roles for one in ("--role", role)]
    return str(house.json("actor", "add", name, *renew)["token"])


def address_of(house: House) -> str:
    said: dict[str, Any] = json.loads((house.home / "run" / "console.json").read_text(encoding="utf-8"))
    return f"http://127.0.0.1:{said['port']}"


def _said(violation: dict[str, Any]) -> str:
    places = "; ".join(" ".join(map(str, node["target"])) for node in violation["nodes"][:5])
    return f"{violation['id']} ({violation['impact']}): {violation['help']}: {places}"
