"""The process that runs a site's regular expressions over a report: bounded, and alone with the text.

    python -I -S phrase_child.py SECONDS < {"text": ..., "questions": [{"absent": [...], "present": [...]}]}

One line per question, as soon as it is answered: a JSON list of two, whether an absent and whether a present pattern
matched. A pattern that never ends is ended by the kernel. Standard library only, nothing of ours.
"""

import json
import re
import resource
import sys

MEMORY = 512 << 20
GAP = "\n"
"""What stands for words that say "not there": no "." of a present pattern reaches over it."""


def answer(text: str, absent: list[str], present: list[str]) -> tuple[bool, bool]:
    """Absent patterns first: what they match is taken out before the present ones are tried."""
    denied = False
    for pattern in absent:
        text, matched = without(pattern, text)
        denied = denied or matched
    found = (match for pattern in present for match in re.finditer(pattern, text, re.IGNORECASE))
    return denied, any(match[0].strip() for match in found)


def without(pattern: str, text: str) -> tuple[str, bool]:
    """The text with a gap for every match that is not empty, and whether there was one."""
    kept, end = [], 0
    for match in re.finditer(pattern, text, re.IGNORECASE):
        if match[0].strip():
            kept.append(text[end : match.start()])
            end = match.end()
    return GAP.join([*kept, text[end:]]), bool(kept)


def main() -> None:
    """Answer every question of standard input."""
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    asked = json.load(sys.stdin)
    for question in asked["questions"]:
        said = answer(asked["text"], question["absent"], question["present"])
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
