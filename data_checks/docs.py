"""Great Expectations' pages as files of the home: what each suite found in its newest window, and an index.

Nothing on them is fetched from elsewhere, and no value of a row is on them: counts, rules, times.
"""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from radloop.ledger.checks import CheckOutcome

INDEX: Final = "index.html"
# Scripts, style sheets, pictures and fonts of the makers' servers: a hospital's browser may not reach them.
ELSEWHERE: Final = re.compile(
    r"<script[^>]*>.*?</script>|<link[^>]*>|<img[^>]*>|<form.*?</form>|@import[^;]*;|url\(['\"]?https?:[^)]*\)",
    re.DOTALL | re.IGNORECASE,
)
STYLE: Final = """<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #222; }
table { border-collapse: collapse; width: 100%; }
td, th { border: 1px solid #ccc; padding: .3rem .6rem; text-align: left; }
.fail { color: #a00; font-weight: 600; } .pass { color: #060; }
.d-none, .modal, .cooltip .top, nav button { display: none; }
</style>"""


def write(folder: Path, pages: Mapping[str, str], outcomes: Sequence[CheckOutcome]) -> Path:
    """Write the pages of one run over those of the last, each whole or not at all; the index.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, page in pages.items():
        _place(folder / f"{name}.html", local(page))
    _place(folder / INDEX, _index(sorted(pages), outcomes))
    return folder / INDEX


def local(page: str) -> str:
    """A page of Great Expectations without anything that a browser would fetch, in a plain style of ours."""
    stripped = ELSEWHERE.sub("", page)
    return stripped.replace("</head>", f"{STYLE}</head>", 1)


def _index(pages: Sequence[str], outcomes: Sequence[CheckOutcome]) -> str:
    links = "".join(f'<li><a href="{html.escape(name)}.html">{html.escape(name)}</a></li>' for name in pages)
    columns = ("suite", "check", "outcome", "rows", "against", "what is promised", "from", "to")
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(_row(one) for one in outcomes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Data checks</title>{STYLE}</head><body>'
        f"<h1>Data checks</h1><p>Suites, as Great Expectations shows them:</p><ul>{links}</ul>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></body></html>"
    )


def _row(one: CheckOutcome) -> str:
    start, end = (at.isoformat(timespec="seconds") for at in (one.window_start, one.window_end))
    cells = (one.suite, one.check, one.outcome, one.rows, one.unexpected, one.detail, start, end)
    kind = one.outcome if one.outcome in ("pass", "fail") else "none"
    return f'<tr class="{kind}">' + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _place(path: Path, text: str) -> None:
    waiting = path.with_name(f".{path.name}.part")
    waiting.write_text(text, encoding="utf-8")
    waiting.replace(path)
