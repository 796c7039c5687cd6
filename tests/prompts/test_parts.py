"""A prompt is put together of its parts by rules."""

from __future__ import annotations

import pytest

from concat_id.job import TASK_ROLES
from concat_id.loading.presets import PRESETS
from concat_id.prompts.parts import PromptParts, suggest_parts
from concat_id.prompts.unread import find_unread
from concat_id.prompts.vocabulary import find_unknown_words


@pytest.mark.parametrize(
    ("parts", "prompt"),
    [
        ({}, ""),
        ({"subject": " . "}, ""),
        ({"action": "laughing"}, "a person laughing"),
        (
            {"subject": "a man", "action": "waving", "place": "on a beach", "clothes": "a red shirt"},
            "a man waving on a beach, wearing a red shirt",
        ),
        ({"place": "a park", "clothes": "in a green dress"}, "a person in a park, in a green dress"),
        ({"place": "Behind a bar.", "clothes": "wearing a hat;"}, "a person Behind a bar, wearing a hat"),
        (
            {"action": "reading ", "camera": "close-up.", "light": "soft light"},
            "a person reading. Close-up. Soft light.",
        ),
        ({"light": "\u00e9tincelles"}, "a person. \u00c9tincelles."),
    ],
)
def test_parts_become_a_sentence(parts: dict[str, str], prompt: str) -> None:
    assert PromptParts(**parts).compose() == prompt


@pytest.mark.parametrize("task", TASK_ROLES)
def test_the_embedded_model_knows_every_word_that_is_suggested(task: str) -> None:
    choices = suggest_parts("embedded", task)
    assert choices.camera == choices.light == () and (choices.place == ()) == (task == "background")
    for name, texts in vars(choices).items():
        for text in texts:
            assert find_unknown_words(PromptParts(**{name: text}).compose(), "embedded") == [], text
    longest = {name: max(texts, key=len, default="") for name, texts in vars(choices).items()}
    assert find_unread(PromptParts(**longest).compose(), "embedded") == ""


def test_pictures_need_no_words_of_what_they_give() -> None:
    for preset in ("embedded", "wan-1.3b-adaln"):
        assert suggest_parts(preset, "try-on").clothes == ("the garment",)
        assert "two friends" in suggest_parts(preset, "multi").subject
        assert len(suggest_parts(preset).place) >= 5
    footage = suggest_parts("wan-1.3b-adaln")
    assert all(vars(footage).values()) and PRESETS["wan-1.3b-adaln"].domain != "drawn"
