"""What looks like an identifier, whoever's it is: searched for in every free text that goes out."""

import re
from typing import Final

_MONTHS: Final = "jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez"
PATTERNS: Final = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.\w"),
    "an address of the web": re.compile(r"\b(?:https?|ftp)://|\bwww\."),
    "an address of the network": re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"),
    "a UID": re.compile(r"\b\d+(?:\.\d+){4,}"),
    "a number of six digits or more": re.compile(r"\d{6}"),
    "a telephone number": re.compile(r"(?:\+|\b0)\d[\d ()/.-]{5,}\d"),
    "a social security number": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
    "a date": re.compile(
        r"\b\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b|\b\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d{2}\b"
        rf"|\b\d{{1,2}}[ .-](?:{_MONTHS})[a-z]*[ .,-]+\d{{2,4}}",
        re.IGNORECASE,
    ),
    # MR in capitals is a modality.
    "a person's title": re.compile(
        r"\b(?:Dr|Mr|Mrs|Ms|Prof|Herr|Frau|Mme)\b\.?\s+[A-Z]|\b(?:DR\.|PROF\.?|MRS\.?|MR\.|HERR|FRAU)\s+[A-Z]"
    ),
    "a person's name": re.compile(r"\w\^\w"),
}


def looks_like(text: str) -> str | None:
    """What a text looks like that must not go out; None where it looks like nothing of the kind."""
    return next((what for what, pattern in PATTERNS.items() if pattern.search(text)), None)
