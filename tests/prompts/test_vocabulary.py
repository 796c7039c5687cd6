"""Words that the embedded model never read are found by its own tokenizer."""

from __future__ import annotations

from concat_id.prompts.vocabulary import find_unknown_words
from concat_id.ui.tasks import BACKGROUND, MULTI, SINGLE, TRY_ON


def test_a_word_outside_of_the_captions_is_named_once() -> None:
    prompt = "A person riding a Skateboard on a beach, skateboard in the snow!"
    assert find_unknown_words(prompt, "embedded") == ["riding", "skateboard"]
    assert find_unknown_words("someone smiling 猫", "embedded") == ["猫"]


def test_what_the_captions_say_and_the_ideas_are_known() -> None:
    ideas = [prompt for form in (SINGLE, MULTI, TRY_ON, BACKGROUND) for prompt in form.ideas.values()]
    for prompt in ["", "a woman looking down-hearted, smiling!", *ideas]:
        assert find_unknown_words(prompt, "embedded") == []


def test_models_that_read_any_text_are_not_asked() -> None:
    assert find_unknown_words("a skateboard", "wan-1.3b-adaln") == []
