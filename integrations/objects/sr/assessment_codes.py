"""The concepts of a reader's assessment (docs/verdicts.md, DICOM SR), each with where it comes from."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydicom import uid

from integrations.objects import concepts
from radloop.domain.enums import Awareness, VerdictKind
from radloop.domain.records import Code

# PS3.4 Table B.5-1: the structured reports that can carry coded content.
DOCUMENTS: Final = frozenset(
    {
        uid.BasicTextSRStorage,
        uid.EnhancedSRStorage,
        uid.ComprehensiveSRStorage,
        uid.Comprehensive3DSRStorage,
        uid.ExtensibleSRStorage,
    }
)

# PS3.16 names no concept for a person's judgement of an algorithm's finding: private ones (PS3.16 section 8.2), whose
# values are the members of our own enums.
PRIVATE_SCHEME: Final = "99RADLOOP"
ASSESSMENT: Final = Code("ASSESSMENT", PRIVATE_SCHEME, "AI Result Assessment")
REASON: Final = Code("REASON", PRIVATE_SCHEME, "Reason of assessment")
AWARENESS: Final = Code("AWARENESS", PRIVATE_SCHEME, "Awareness of AI result")
KINDS: Final = MappingProxyType(
    {
        VerdictKind.CONFIRM: Code("CONFIRM", PRIVATE_SCHEME, "Accept"),
        VerdictKind.MODIFY: Code("MODIFY", PRIVATE_SCHEME, "Accept with modification"),
        VerdictKind.REJECT: Code("REJECT", PRIVATE_SCHEME, "Reject"),
        VerdictKind.ADD: Code("ADD", PRIVATE_SCHEME, "Add"),
    }
)
AWARENESSES: Final = MappingProxyType(
    {
        Awareness.BLINDED: Code("BLINDED", PRIVATE_SCHEME, "Assessed before the AI result was shown"),
        Awareness.SAW_AI: Code("SAW_AI", PRIVATE_SCHEME, "AI result was shown"),
        Awareness.CORRECTED: Code("CORRECTED", PRIVATE_SCHEME, "Changed after the AI result was shown"),
    }
)

# Senders that follow the profile's words under private codes of their own (any scheme that begins with 99) are read
# by the meaning, in lower case. The tables are closed: another word is no assessment.
ASSESSMENT_WORDS: Final = frozenset(
    {
        "ai result assessment",
        "ai results assessment",
        "assessment of ai result",
        "assessment of ai results",
        "assessment decision",
    }
)
KIND_WORDS: Final[Mapping[str, VerdictKind]] = MappingProxyType(
    {
        **dict.fromkeys(("accept", "accepted", "agree", "ai result accepted"), VerdictKind.CONFIRM),
        **dict.fromkeys(
            ("accept with modification", "accepted with modification", "modify", "modified", "ai result modified"),
            VerdictKind.MODIFY,
        ),
        **dict.fromkeys(("reject", "rejected", "disagree", "ai result rejected"), VerdictKind.REJECT),
        **dict.fromkeys(("add", "added", "missed finding"), VerdictKind.ADD),
    }
)

# TID 1500, 1501 and 1003.
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
TRACKING_ID: Final = Code("112039", "DCM", "Tracking Identifier")
MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
COMMENT: Final = Code("121106", "DCM", "Comment")
PERSON_NAME: Final = Code("121008", "DCM", "Person Observer Name")
PERSON_LOGIN: Final = Code("128774", "DCM", "Person Observer's Login Name")

SEVERITIES: Final = MappingProxyType({(c.value, c.scheme): s for s, c in concepts.SEVERITIES.items()})
LATERALITIES: Final = MappingProxyType({(c.value, c.scheme): s for s, c in concepts.LATERALITIES.items()})
