"""Portraits of drawn people by their traits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from concat_id.errors import InvalidTraits
from concat_id.loading.load import load_face_tools
from concat_id.people.identity import HAIR_STYLES, make_identities, sample_identities
from concat_id.people.portrait import CHOICES, SIDE_PX, Traits, draw_portrait, roll_seed
from concat_id.people.scene import SEED_RANGES
from concat_id.references.faces import align_face
from concat_id.references.prepare import prepare_face

SMALL_PX = 96
SEED = SEED_RANGES["test"][0] + 77


def draw_small(traits: Traits) -> np.ndarray:
    return np.asarray(draw_portrait(traits, SMALL_PX), np.int16)


def test_a_seed_is_the_person_that_the_renderer_draws_for_it() -> None:
    for seed in range(SEED, SEED + 40):
        traits = Traits.of_seed(seed)
        one = torch.tensor([[seed]])
        drawn, known = make_identities(one, traits.kinds), sample_identities(one)
        for name, value in vars(known).items():
            assert torch.equal(getattr(drawn, name), value), name


def test_every_choice_shows() -> None:
    plain = Traits(beard="stubble", glasses="round", seed=SEED)
    for name, choices in CHOICES.items():
        pictures = [draw_small(replace(plain, **{name: choice})) for choice in choices]
        for index, picture in enumerate(pictures):
            for other in pictures[index + 1 :]:
                assert np.abs(picture - other).max() > 20, name


def test_another_seed_is_another_face_with_the_same_traits() -> None:
    pictures = [draw_small(Traits(seed=seed)) for seed in (SEED, SEED, SEED + 1)]
    assert (pictures[0] == pictures[1]).all()
    assert np.abs(pictures[0] - pictures[2]).mean() > 3


def test_someone_by_chance_was_in_no_training() -> None:
    low, high = SEED_RANGES["test"]
    assert all(low <= roll_seed() < high for _ in range(100))


def test_an_unknown_trait_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidTraits, match="skin is 'green'; choose one of porcelain, fair"):
        Traits(skin="green")


@pytest.mark.parametrize("hair", HAIR_STYLES)
def test_the_product_takes_the_portrait_for_one_whole_upright_face(hair: str) -> None:
    number = HAIR_STYLES.index(hair)
    traits = Traits.of_seed(SEED + number)
    skins, beards = CHOICES["skin"], CHOICES["beard"]
    traits = replace(traits, hair=hair, skin=skins[number % len(skins)], beard=beards[number % len(beards)])
    picture = draw_portrait(traits)
    assert (picture.size, picture.mode) == ((SIDE_PX, SIDE_PX), "RGB")
    tools = load_face_tools("embedded")
    prepared = prepare_face(picture, tools.finder, tools.parser)
    assert len(prepared.faces) == 1 and prepared.notes == ()
    left, right = prepared.face.landmarks[:2]
    assert abs(left[1] - right[1]) < 0.03 * (right[0] - left[0])
    inside = np.asarray(align_face(Image.new("RGB", picture.size, "white"), prepared.face.landmarks))
    assert (inside == 255).mean() > 0.99
