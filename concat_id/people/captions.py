"""Captions as users write prompts: expression, motion, place, in half of them the garment; no looks.

A caption is assembled from clauses; each is written in one of many ways. Only what is neutral or still may be
left out. What a picture gives is not described: a given garment is only said to be worn, a given place is not
mentioned. Several people are listed from left to right, as their references are.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Literal

from concat_id.people.outfit import GARMENTS, PATTERNS
from concat_id.people.palette import COLORS
from concat_id.people.performance import EXPRESSIONS, MOTIONS
from concat_id.people.scene import Scenes
from concat_id.people.words import ACTIONS, FEELINGS, PLACES_IN_WORDS, SUBJECTS, WEARING_THE_GARMENT

# What of a scene may be told by a reference picture instead of by words.
Given = Literal["garment", "background"]
Wear = Literal["unsaid", "described", "given"]
# Share of the captions that name the garments.
GARMENT_SHARE = 0.5
# Share of the captions that say so where a face is neutral or a person still.
NEUTRAL_SHARE = 0.35
# Share of the captions of several people that say who is where.
SPOT_SHARE = 0.5
MAX_WORDS = 39
COLOR_NAMES, COUNT_WORDS = (
    tuple(COLORS),
    {2: ("two people", "a pair of friends", "two friends"), 3: ("three people", "three friends")},
)
SPOT_WORDS = {2: ("on the left", "on the right"), 3: ("on the left", "in the middle", "on the right")}


def write_captions(scenes: Scenes, seed: int, given: Collection[Given] = ()) -> list[str]:
    """One caption per clip, under 40 words; the same for the same scenes, seed and given pictures."""
    places, people = scenes.place_names, scenes.identity_seeds.tolist()
    return [
        _write(scenes, clip, places[clip], given, random.Random(f"{seed} {clip} {people[clip]}"))
        for clip in range(len(scenes))
    ]


def _write(scenes: Scenes, clip: int, place: str, given: Collection[Given], rng: random.Random) -> str:
    """Drops the garments, then spots and actions, of a sentence that grew too long."""
    where = "" if "background" in given else rng.choice(PLACES_IN_WORDS[place])
    described: Wear = "described" if rng.random() < GARMENT_SHARE else "unsaid"
    wears: tuple[Wear, ...] = (described, "unsaid", "unsaid")
    if "garment" in given:
        wears = ("given",) * 3
    with_spots = scenes.num_people > 1 and rng.random() < SPOT_SHARE
    caption = ""
    for wear, brief in zip(wears, (False, False, True), strict=True):
        people = [
            _write_person(scenes, clip, person, wear, brief, with_spots and not brief, rng)
            for person in range(scenes.num_people)
        ]
        caption = _join(people, where, rng)
        if len(caption.split()) <= MAX_WORDS:
            break
    return caption


def _join(people: list[str], place: str, rng: random.Random) -> str:
    if len(people) > 1:
        lead = rng.choice(COUNT_WORDS[len(people)])
        listed = ", ".join(people[:-1]) + " and " + people[-1]
        if not place:
            return rng.choice([f"{lead}: {listed}", listed])
        return rng.choice([f"{lead} {place}: {listed}", f"{listed}, {place}", f"{listed} {place}"])
    person = people[0]
    if not place:
        return person
    return rng.choice([f"{person} {place}", f"{person} {place}", f"{person}, {place}", f"{place}, {person}"])


def _write_person(
    scenes: Scenes, clip: int, person: int, wear: Wear, brief: bool, with_spot: bool, rng: random.Random
) -> str:
    """Who and where, wearing what, doing what."""
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
    worn = ""
    if wear == "described":
        worn = _write_garment(scenes, clip, person, rng)
    elif wear == "given":
        worn = rng.choice(WEARING_THE_GARMENT)
    if with_spot:
        subject += " " + SPOT_WORDS[scenes.num_people][person]
    if worn and doing and rng.random() < 0.4:
        return f"{subject} {doing}, {worn}"
    return " ".join(part for part in (subject, worn, doing) if part)


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
