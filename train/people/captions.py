"""Captions as users write prompts: expression, motion, place, in half of them the garment; no looks.

A caption is assembled from clauses; each is written in one of many ways. Only what is neutral or still may be
left out.
"""

import random

from .outfit import GARMENTS, PATTERNS
from .palette import COLORS
from .performance import EXPRESSIONS, MOTIONS
from .scene import Scenes
from .words import ACTIONS, FEELINGS, PLACES_IN_WORDS, SUBJECTS

GARMENT_SHARE = 0.5
"""Share of the captions that name the garments."""
NEUTRAL_SHARE = 0.35
"""Share of the captions that say so where a face is neutral or a person still."""
MAX_WORDS = 39
COLOR_NAMES, COUNT_WORDS = (
    tuple(COLORS),
    {2: ("two people", "a pair of friends", "two friends"), 3: ("three people", "three friends")},
)


def write_captions(scenes: Scenes, seed: int) -> list[str]:
    """One caption per clip, under 40 words; the same for the same scenes and seed."""
    return [
        _write(scenes, clip, random.Random(f"{seed} {clip} {scenes.identity.seed[clip].tolist()}"))
        for clip in range(len(scenes))
    ]


def _write(scenes: Scenes, clip: int, rng: random.Random) -> str:
    """Drops the garments, then the actions, of a sentence that grew too long."""
    place = rng.choice(PLACES_IN_WORDS[scenes.place_names[clip]])
    with_garments = rng.random() < GARMENT_SHARE
    caption = ""
    for garments, brief in ((with_garments, False), (False, False), (False, True)):
        people = [
            _write_person(scenes, clip, person, garments, brief, rng) for person in range(scenes.num_people)
        ]
        caption = _join(people, place, rng)
        if len(caption.split()) <= MAX_WORDS:
            break
    return caption


def _join(people: list[str], place: str, rng: random.Random) -> str:
    if len(people) > 1:
        lead = rng.choice(COUNT_WORDS[len(people)])
        listed = ", ".join(people[:-1]) + " and " + people[-1]
        return rng.choice([f"{lead} {place}: {listed}", f"{listed}, {place}", f"{listed} {place}"])
    person = people[0]
    return rng.choice([f"{person} {place}", f"{person} {place}", f"{person}, {place}", f"{place}, {person}"])


def _write_person(
    scenes: Scenes, clip: int, person: int, garments: bool, brief: bool, rng: random.Random
) -> str:
    """Who, wearing what, doing what."""
    expression = EXPRESSIONS[scenes.expression[clip, person]]
    motion = MOTIONS[scenes.motion[clip, person]]
    feminine = bool(scenes.identity.feminine[clip, person] > 0.5)
    subject = rng.choice(SUBJECTS["woman" if feminine else "man"] + SUBJECTS["person"])
    clauses = []
    if expression != "neutral" or rng.random() < NEUTRAL_SHARE:
        clauses.append(rng.choice(FEELINGS[expression]))
    if not (brief and clauses) and (motion != "still" or rng.random() < NEUTRAL_SHARE):
        clauses.append(rng.choice(ACTIONS[motion]))
    rng.shuffle(clauses)
    ongoing = len(clauses) == 2 and clauses[1].split()[0].endswith("ing")
    doing = rng.choice([" and ", " while ", ", "] if ongoing else [", ", " and "]).join(clauses)
    wear = _write_garment(scenes, clip, person, rng) if garments else ""
    if wear and doing and rng.random() < 0.4:
        return f"{subject} {doing}, {wear}"
    return " ".join(part for part in (subject, wear, doing) if part)


def _write_garment(scenes: Scenes, clip: int, person: int, rng: random.Random) -> str:
    """ "in a red and white striped shirt" and the like."""
    outfit = scenes.outfit
    garment = GARMENTS[outfit.garment[clip, person]]
    pattern = PATTERNS[outfit.pattern[clip, person]]
    color, second = COLOR_NAMES[outfit.color[clip, person]], COLOR_NAMES[outfit.second_color[clip, person]]
    noun = rng.choice(
        {
            "t-shirt": ["t-shirt", "tee"],
            "turtleneck": ["turtleneck", "roll-neck sweater"],
            "hoodie": ["hoodie"],
            "jacket": ["jacket", "open jacket"],
            "shirt": ["shirt", "button-up shirt"],
            "dress": ["dress"],
        }[garment]
    )
    if pattern == "plain":
        described = rng.choice([f"{color} {noun}", f"plain {color} {noun}"])
    elif pattern in ("star", "heart"):
        described = f"{color} {noun} with a {second} {pattern}"
    else:
        word = rng.choice(
            {
                "striped": ["striped"],
                "pinstriped": ["pinstriped"],
                "dotted": ["dotted", "polka-dot"],
                "checked": ["checked", "plaid"],
            }[pattern]
        )
        described = rng.choice([f"{color} and {second} {word} {noun}", f"{word} {color} and {second} {noun}"])
    article = "an" if described[0] in "aeiou" else "a"
    return f"{rng.choice(['in', 'wearing', 'dressed in'])} {article} {described}"
