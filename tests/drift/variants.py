"""Which methods run: names begin with the tool, as the tables show them."""

from typing import Final

RADLOOP: Final = "radloop"
TOOLS: Final = {RADLOOP: "radloop", "evidently": "evidently", "alibi": "alibi-detect"}
KEPT: Final = (
    "evidently ks", "evidently wasserstein+js", "evidently embedding",
    "alibi tabular", "alibi mmd", "alibi mmd short",
)  # fmt: skip
TOGETHER: Final = {
    "evidently together": ("evidently ks", "evidently wasserstein+js", "evidently embedding"),
    "alibi together": ("alibi tabular", "alibi mmd", "alibi mmd short"),
}
"""Combinations: the parts are computed once, for themselves and for these."""
LEFT_OUT: Final = {
    "evidently ks+chi2": 500, "evidently share": 186, "evidently all ks+chi2": 500, "evidently all share": 267,
    "alibi all tabular": 192,
}  # fmt: skip
"""Their mean delay over all changes at `--size middle --all-variants`: far behind the best of their tool."""
BEST_THERE: Final = {"evidently": 73, "alibi-detect": 85}


def tool_of(name: str) -> str:
    """The tool that a variant belongs to."""
    return TOOLS[name.split(maxsplit=1)[0]]
