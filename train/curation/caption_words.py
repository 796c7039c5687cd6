"""Whether a caption tells of people: the paper's first filter, by words."""

from __future__ import annotations

import re

PEOPLE_WORDS = frozenset(
    "person people man men woman women boy boys girl girls child children kid kids baby toddler teenager "
    "teenagers adult adults guy guys lady ladies gentleman gentlemen human humans individual individuals "
    "someone somebody couple friend friends family mother father mom dad son daughter brother sister "
    "grandmother grandfather husband wife bride groom presenter speaker reporter interviewer actor actress "
    "singer dancer musician athlete doctor nurse teacher student worker chef farmer officer soldier customer "
    "he she him his her himself herself face faces portrait selfie".split()
)


def mentions_people(caption: str) -> bool:
    """Whether one of the words for people occurs, as a whole word, in any case."""
    return not PEOPLE_WORDS.isdisjoint(re.findall(r"[a-z]+", caption.lower()))
