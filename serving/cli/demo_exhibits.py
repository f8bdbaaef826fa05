"""What the stand-ins got, made readable: pictures as PNG, structured reports as text, messages a line per segment."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from serving.cli.demo_stage import Folders

if TYPE_CHECKING:
    from pydicom import Dataset

SECONDARY_CAPTURE: Final = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4")


@dataclass(frozen=True, slots=True)
class Exhibits:
    """How many of each were written."""

    pictures: int
    structured_reports: int
    messages: int
    diagnostic_reports: int


def exhibit(folders: Folders, labels: dict[str, str]) -> Exhibits:
    """Write everything for a person to look at. `labels` names studies by their UID, for the file names."""
    folders.pictures.mkdir(exist_ok=True)
    folders.reports.mkdir(exist_ok=True)
    kinds = [_dicom(path, folders, labels) for path in sorted((folders.peers / "pacs").glob("*.dcm"))]
    return Exhibits(
        pictures=kinds.count("picture"),
        structured_reports=kinds.count("report"),
        messages=sum(_message(path, folders.reports) for path in sorted((folders.peers / "ris").glob("*.hl7"))),
        diagnostic_reports=sum(
            _resource(path, folders.reports) for path in sorted((folders.peers / "ehr").glob("*.json"))
        ),
    )


def _dicom(path: Path, folders: Folders, labels: dict[str, str]) -> str:
    from pydicom import dcmread

    ds = dcmread(path)
    name = f"{labels.get(str(ds.StudyInstanceUID), 'other')}-{path.stem[:6]}"
    if ds.SOPClassUID in SECONDARY_CAPTURE:
        _picture(ds, folders.pictures / f"{name}.png")
        return "picture"
    if "ContentSequence" in ds:
        (folders.reports / f"{name}-SR.txt").write_text("\n".join(_lines(ds, 0)) + "\n", encoding="utf-8")
        return "report"
    return "other"


def _picture(ds: "Dataset", path: Path) -> None:
    from PIL import Image

    Image.fromarray(ds.pixel_array).save(path)


def _lines(item: "Dataset", depth: int) -> Iterator[str]:
    """The content tree of a structured report (PS3.3 C.17.3), a line per item."""
    name = _meaning(item, "ConceptNameCodeSequence")
    yield "  " * depth + ": ".join(part for part in (name, _value(item)) if part)
    for child in item.get("ContentSequence", ()):
        yield from _lines(child, depth + 1)


def _value(item: "Dataset") -> str:
    kind = str(item.get("ValueType", ""))
    readers: dict[str, Any] = {
        "TEXT": lambda: str(item.TextValue),
        "CODE": lambda: _meaning(item, "ConceptCodeSequence"),
        "NUM": lambda: str(item.MeasuredValueSequence[0].NumericValue) if item.MeasuredValueSequence else "none",
        "UIDREF": lambda: str(item.UID),
        "PNAME": lambda: str(item.PersonName),
        "DATETIME": lambda: str(item.DateTime),
        "SCOORD": lambda: f"region of {len(item.GraphicData) // 2} points",
        "IMAGE": lambda: "image",
    }
    return str(readers.get(kind, str)())


def _meaning(item: "Dataset", keyword: str) -> str:
    sequence = item.get(keyword) or ()
    return str(sequence[0].CodeMeaning) if sequence else ""


def _message(path: Path, target: Path) -> bool:
    text = path.read_bytes().decode("utf-8", errors="replace").replace("\r", "\n")
    kind = text.split("|")[8].replace("^", "_")[:20] if text.count("|") > 8 else "HL7"
    (target / f"{path.stem}-{kind}.txt").write_text(text, encoding="utf-8")
    return True


def _resource(path: Path, target: Path) -> bool:
    text = json.dumps(json.loads(path.read_bytes()), indent=2, ensure_ascii=False)
    (target / f"{path.stem[:8]}-DiagnosticReport.json").write_text(text, encoding="utf-8")
    return True
