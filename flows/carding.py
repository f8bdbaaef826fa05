"""Renders a model version's card from the record, with figures computed anew where the test images are still there."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

import numpy as np

from flows.house import House
from flows.lineage import parted
from flows.story import Origin, folder_of, origin_of, trusted
from models.bundles import contents
from models.cards import BundleWords, CardFacts, FirstVersion, Lesson, card
from models.curves import Curves, curves_in, curves_of
from models.spec import ModelSpec, parse_spec
from radloop.domain.enums import Split
from radloop.domain.errors import IntegrityError, Permanent, Unparsable
from radloop.domain.ids import utc_now
from radloop.domain.learning import Cohort, Evaluation, TrainingRun
from radloop.domain.records import ModelVersion
from radloop.ledger import cohorts as cohort_rows
from radloop.ledger import lineage
from radloop.ledger import models as model_rows
from radloop.render.document import Document, to_html, to_markdown

WORDS: Final = "docs/card.md"
METRICS: Final = "docs/metrics.json"
AT_ONCE: Final = 64
"""Images in one forward pass."""


def card_of(house: House, named: str) -> Document:
    """The card of MODEL@VERSION.

    Raises:
        Rejected: it is not MODEL@VERSION.
        NotFound: there is no such version.
        Transient: store or ledger are away.
    """
    with house.ledger.read() as conn:
        version = model_rows.find(conn, *parted(named))
        origin = origin_of(house, conn, version.name, version.digest)
        read = len(lineage.readings(conn, version.digest))
        cohort = cohort_rows.get(conn, origin.evaluations[-1].cohort_id) if origin.evaluations else None
        ancestors = lineage.ancestry(conn, version.digest)
    bundle = _words(house, version, origin)
    return card(
        CardFacts(
            version=version,
            registered_at=origin.registered_at,
            bundle=bundle,
            first=_first(house, version, ancestors),
            lessons=tuple(
                Lesson(one.run, one.cohort, sum(not copy.kept for copy in one.copies)) for one in origin.trained
            ),
            evaluations=origin.evaluations,
            approvals=origin.approvals,
            changes=origin.changes,
            curves=_curves(house, version, bundle, cohort, origin.evaluations[-1:]),
            read=read,
            at=utc_now(),
        )
    )


def _pdf(document: Document) -> bytes:
    from radloop.render.pdf import to_pdf  # noqa: PLC0415 - fonts and pictures take half a second to import

    return to_pdf(document)


FORMATS: Final[Mapping[str, Callable[[Document], bytes]]] = MappingProxyType(
    {
        "md": lambda document: to_markdown(document).encode(),
        "html": lambda document: to_html(document).encode(),
        "pdf": _pdf,
    }
)
"""How a card may be written, by file name extension."""


def _words(house: House, version: ModelVersion, origin: Origin) -> BundleWords:
    try:
        files = contents(folder_of(house, version.name, version.digest))
        spec: ModelSpec | None = parse_spec(files, folder_of(house, version.name, version.digest))
    except IntegrityError:
        files, spec = {}, None
    return BundleWords(
        spec=spec,
        words=files.get(WORDS, b"").decode(errors="replace"),
        metrics=_metrics(files.get(METRICS, b"{}")),
        fault=origin.bundle.fault,
        weights=origin.bundle.weights,
        shipped=origin.bundle.shipped,
    )


def _first(house: House, version: ModelVersion, ancestors: Sequence[TrainingRun]) -> FirstVersion | None:
    """The oldest ancestor that has its bundle here."""
    for digest in (run.parent for run in reversed(ancestors) if run.parent):
        try:
            words = contents(folder_of(house, version.name, digest)).get(WORDS, b"")
        except IntegrityError:
            continue
        return FirstVersion(digest, words.decode(errors="replace"))
    return None


def _metrics(data: bytes) -> Mapping[str, object]:
    try:
        held = json.loads(data)
    except ValueError:
        return {}
    return cast("Mapping[str, object]", held) if isinstance(held, dict) else {}


def _curves(
    house: House, version: ModelVersion, bundle: BundleWords, cohort: Cohort | None, newest: tuple[Evaluation, ...]
) -> Curves | str:
    """Computed from the test images, or as the bundle holds them, or why there are none."""
    try:
        computed = _computed(house, version, bundle, cohort, newest[0]) if cohort else "no evaluation is on record"
        if isinstance(computed, Curves):
            return computed
        held = curves_in(bundle.metrics)
    except Unparsable as error:
        return str(error)
    return held or f"{computed}, and docs/metrics.json of the bundle holds no curve points"


def _computed(
    house: House, version: ModelVersion, bundle: BundleWords, cohort: Cohort, evaluation: Evaluation
) -> Curves | str:
    # Whoever only reads a card does not wait for torch.
    import torch  # noqa: PLC0415

    from flows.cohorts import load_arrays  # noqa: PLC0415
    from models.runtime import load  # noqa: PLC0415

    if bundle.spec is None:
        return "the bundle cannot be read"
    try:
        model = load(trusted(house, version.name, version.digest))
        arrays = load_arrays(house, cohort, Split.TEST)
    except Permanent as error:
        return f"the test images of evaluation {evaluation.id} or the bundle are not there any more ({error})"
    target = next(member.label.target for member in cohort.members)
    row = [one.name for one in bundle.spec.targets].index(target)
    batches = [arrays.small[start : start + AT_ONCE] for start in range(0, len(arrays), AT_ONCE)]
    probabilities = np.concatenate([model.predict(torch.from_numpy(batch)[:, None])[:, row] for batch in batches])
    source = f"the {len(arrays)} test images of cohort {cohort.id}, as evaluation {evaluation.id} saw them"
    return curves_of(
        arrays.labels, probabilities.astype(np.float64), arrays.facts, bundle.spec.targets[row].threshold, source
    )
