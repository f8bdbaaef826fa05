"""What is told, whichever way it goes."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One notice: `id` is the same over every try, so that whoever gets it twice can see that it is one.

    `facts` are short texts and numbers by name, for machines; `subject` and `text` are for people.
    """

    id: str
    subject: str
    text: str
    facts: Mapping[str, str | int | float | None]
