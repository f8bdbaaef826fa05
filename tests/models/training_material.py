"""Material for a training of seconds: a few phantoms, a parent signed with a test's key, and its order."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.bundles import install, public_key
from models.catalog import catalog
from models.training.arrays import Arrays
from models.training.cohort import phantoms
from models.training.material import Material, material, pack
from models.training.order import Order
from models.training.recipes import CHEST
from radloop.domain.learning import Facts
from tests.keys import SITE

KEY = SITE
PUBLIC = public_key(KEY)
IMAGES, LEARNED = 40, 32


@dataclass(frozen=True)
class Bench:
    """A folder with `order.json` and `material.safetensors` in it, as a worker takes them."""

    folder: Path
    order: Order
    parent: Path | None
    images: Material

    @property
    def arguments(self) -> list[str]:
        asked = ["--order", str(self.folder / "order.json"), "--material", str(self.folder / "material.safetensors")]
        return asked if self.parent is None else [*asked, "--parent", str(self.parent), "--key", PUBLIC.hex()]


def bench(folder: Path, epochs: int = 2, processes: int = 1, *, scratch: bool = False) -> Bench:
    folder.mkdir(parents=True, exist_ok=True)
    parent = None if scratch else install(catalog()["cxr_pneumonia"].bundle, folder / "models", KEY)
    order = Order(
        model="cxr_pneumonia",
        version="1.1.0",
        cohort="c" * 64,
        parent=parent.name if parent else None,
        seed=5,
        plan=replace(CHEST.retrain, epochs=epochs),
        device="cpu",
        threads=1,
        processes=processes,
        code="test",
        origin={"train": {"phantoms": LEARNED}, "validation": {"phantoms": IMAGES - LEARNED}},
    )
    images = phantom_material()
    (folder / "order.json").write_bytes(order.pack())
    (folder / "material.safetensors").write_bytes(pack(images))
    return Bench(folder, order, parent, images)


def phantom_material() -> Material:
    found = phantoms(replace(CHEST, phantoms=IMAGES // 2))

    def rows(chosen: range) -> Arrays:
        groups = np.array([f"p{row}" for row in chosen])
        return Arrays(
            found.large[chosen], found.small[chosen], found.labels[chosen], groups, tuple(Facts() for _ in chosen)
        )

    chances = np.where(np.arange(LEARNED) % 3 == 0, 0.1, 1.0)
    held = rows(range(LEARNED, IMAGES))
    return material(rows(range(LEARNED)), chances, held, np.ones(len(held)))
