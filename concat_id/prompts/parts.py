"""A prompt put together of its parts, by rules and without a network: who, doing what, where, wearing what.

Models for photographs know camera and light, too; they follow long, concrete prompts best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from concat_id.loading.presets import PRESETS, Task

# What a place may begin with; before another one stands "in".
_PREPOSITIONS = frozenset(
    "in on at by near under over before behind beside inside outside along across among amid against between "
    "beneath above below around through within beyond next downtown outdoors indoors".split()
)
_WORN = ("wearing ", "dressed in ", "in ", "with ")

_PEOPLE = ("a person", "a woman", "a man")
_GROUPS = ("two friends", "two people", "three friends")
# For models that were made of footage, in the words that such footage is captioned in.
_ACTIONS = (
    "laughing and turning towards the camera",
    "walking slowly and looking around",
    "reading a letter, then looking up and smiling",
    "talking with lively gestures",
    "drinking tea and looking out of the window",
)
_PLACES = (
    "on a wide beach with low waves",
    "in an old library with tall wooden shelves",
    "in a snowy forest",
    "on a rooftop above a city at night",
    "in a small kitchen full of plants",
)
_CLOTHES = (
    "a dark green wool coat",
    "a white linen shirt",
    "a red knitted sweater",
    "a black leather jacket",
)
_CAMERA = (
    "close-up, the camera holds still",
    "medium shot, the camera moves slowly closer",
    "the camera circles slowly at eye level",
    "handheld shot from a low angle",
)
_LIGHT = (
    "soft morning light",
    "golden evening light with long shadows",
    "even light of an overcast day",
    "neon light in blue and pink",
    "warm lamplight",
)


@dataclass(frozen=True)
class PromptParts:
    """The parts of a prompt, each a few words of any case, or empty."""

    subject: str = ""
    action: str = ""
    place: str = ""
    clothes: str = ""
    camera: str = ""
    light: str = ""

    def compose(self) -> str:
        """The prompt; empty where every part is.

        Who does what and where is one sentence, with the clothes at its end; camera and light are two more.
        """
        subject, action, place, clothes, camera, light = (
            text.strip().rstrip(".,;").strip() for text in vars(self).values()
        )
        if not any((subject, action, place, clothes, camera, light)):
            return ""
        if place and place.split()[0].lower() not in _PREPOSITIONS:
            place = f"in {place}"
        if clothes and not clothes.lower().startswith(_WORN):
            clothes = f"wearing {clothes}"
        happening = " ".join(filter(None, (subject or _PEOPLE[0], action, place)))
        first = ", ".join(filter(None, (happening, clothes)))
        rest = [text[0].upper() + text[1:] for text in (camera, light) if text]
        return ". ".join([first, *rest]) + ("." if rest else "")


@dataclass(frozen=True)
class PromptChoices:
    """Suggestions for each part; none for a part of which a model knows nothing."""

    subject: tuple[str, ...]
    action: tuple[str, ...]
    place: tuple[str, ...]
    clothes: tuple[str, ...]
    camera: tuple[str, ...] = ()
    light: tuple[str, ...] = ()


_FOOTAGE = PromptChoices(_PEOPLE, _ACTIONS, _PLACES, _CLOTHES, _CAMERA, _LIGHT)


def suggest_parts(preset: str, task: Task = "single") -> PromptChoices:
    """What a preset's model knows well: of drawn people, words of its captions; else what films show.

    Args:
        task: what its pictures give needs no words: of a place none, of a garment that it is worn.
    """
    choices = _suggest_drawn() if PRESETS[preset].domain == "drawn" else _FOOTAGE
    if task == "multi":
        return replace(choices, subject=_GROUPS)
    if task == "try-on":
        return replace(choices, clothes=("the garment",))
    return replace(choices, place=()) if task == "background" else choices


def _suggest_drawn() -> PromptChoices:
    """Words of the drawn people's captions."""
    from concat_id.people import COLORS, GARMENTS
    from concat_id.people.words import ACTIONS, FEELINGS, PLACES_IN_WORDS

    doing = [words[0] for known in (FEELINGS, ACTIONS) for words in known.values()]
    garments = [name for name in GARMENTS if name != "none"]
    colours = [f"a {colour}" if colour[0] not in "aeiou" else f"an {colour}" for colour in COLORS]
    worn = [f"{colour} {garments[index % len(garments)]}" for index, colour in enumerate(colours)]
    places = [words[0] for words in PLACES_IN_WORDS.values()]
    return PromptChoices(_PEOPLE, tuple(doing), tuple(places), tuple(worn))
