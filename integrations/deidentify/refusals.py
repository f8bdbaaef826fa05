"""Why a file is not let out. Every reason is a `Rejected`; none quotes a value of the file.

NotReleased
├── NotAnImage      a report, a document, a waveform, a presentation state: it has no place in a set of images
├── BurnedIn        text in the pixels, or a kind of image that usually carries some
├── Unsearchable    pixels that cannot be looked at
└── Leaked          the search of the finished file found something: the whole file is held back
"""

from radloop.domain.errors import Rejected


class NotReleased(Rejected):
    """The file stays in the hospital."""

    code = "not-released"


class NotAnImage(NotReleased):
    """An object without pixels, or of a class that nobody knows."""

    code = "not-an-image"


class BurnedIn(NotReleased):
    """Text in the pixels, or a kind of image that usually carries some."""

    code = "burned-in"


class Unsearchable(NotReleased):
    """Pixels that cannot be looked at: a transfer syntax of video, or an overlay inside compressed pixels."""

    code = "unsearchable"


class Leaked(NotReleased):
    """The search of the finished file found something that identifies."""

    code = "leaked"
