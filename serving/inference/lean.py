"""MONAI without its optional half.

`import monai` imports every optional dependency that it can find: mlflow, matplotlib, pandas, scipy... Measured here:
7 s and 290 MB, against 0.5 s and 25 MB for its networks, which is all that this process needs. MONAI is made for their
absence (`monai.utils.optional_import`), so they are absent while it is imported.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

OPTIONAL: Final = frozenset(
    {
        *("cv2", "einops", "h5py", "huggingface_hub", "ignite", "itk", "lmdb", "matplotlib", "mlflow", "nibabel"),
        *("onnx", "onnxruntime", "pandas", "requests", "scipy", "skimage", "sklearn", "tensorboard", "tensorboardX"),
        *("tifffile", "torchvision", "tqdm", "transformers", "yaml"),
    }
)


class _Absent(MetaPathFinder):
    """Says of some packages that they are not installed."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
        return None


@contextmanager
def without(names: frozenset[str]) -> Iterator[None]:
    """Packages that are not imported yet cannot be, until the block ends."""
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def import_networks() -> None:
    """Import MONAI's networks, and as little else of it as can be."""
    with without(OPTIONAL):
        import_module("monai.networks.nets")
