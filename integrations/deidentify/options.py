"""What a caller may choose."""

from dataclasses import dataclass, field

from radloop.pixels import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`mask`: black out text in pixels instead of refusing the file (PS3.15 E.3.1, Clean Pixel Data).

    `keep_descriptors`: keep the words of descriptions that the standard itself uses (PS3.15 E.3.5, Clean Descriptors).
    """

    mask: bool = False
    keep_descriptors: bool = False
    limits: Limits = field(default_factory=Limits)
