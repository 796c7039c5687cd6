"""A drawn person like the one in a photograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from concat_id.generation import describe_person, prepare_reference
from concat_id.loading.load import load_face_tools
from concat_id.people.lookalike import read_traits
from concat_id.people.portrait import CHOICES, Traits, draw_portrait
from concat_id.people.scene import SEED_RANGES
from concat_id.references.reference import Reference

SEED = SEED_RANGES["test"][0] + 500


def read(picture: Image.Image) -> Traits:
    tools = load_face_tools("embedded")
    return read_traits(picture, tools.finder.find(picture)[0], tools.parser, SEED)


def test_an_astronaut_is_read_from_her_photograph() -> None:
    photograph = Image.fromarray(skimage.data.astronaut())
    traits = read(photograph)
    assert traits == read(photograph)
    assert traits.skin in ("porcelain", "fair") and traits.hair_color in ("brown", "blonde")
    assert (traits.glasses, traits.beard, traits.seed) == ("none", "none", SEED)
    darker = Image.fromarray((np.asarray(photograph) * (0.62, 0.48, 0.38)).astype(np.uint8))
    assert read(darker).skin in ("bronze", "brown", "deep brown")


def test_a_reference_is_described_as_the_product_prepares_it(tmp_path: Path) -> None:
    path = tmp_path / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    reference = Reference("face", str(path))
    assert prepare_reference(reference).photographed
    traits = describe_person(reference)
    assert replace(traits, seed=SEED) == read(Image.open(path))


@pytest.mark.parametrize("skin", CHOICES["skin"])
def test_the_skin_of_a_portrait_is_read_within_one_shade(skin: str) -> None:
    shades = CHOICES["skin"]
    portrait = draw_portrait(Traits(skin=skin, hair="side-parted", hair_color="dark brown", seed=SEED))
    assert abs(shades.index(read(portrait).skin) - shades.index(skin)) <= 1


def test_hair_beard_and_glasses_of_portraits_are_read() -> None:
    plain = Traits(features="masculine", hair="buzz cut", hair_color="black", skin="fair", seed=SEED)
    assert read(draw_portrait(replace(plain, hair="bald"))).hair == "bald"
    assert read(draw_portrait(plain)).hair == "side-parted"
    assert read(draw_portrait(replace(plain, hair="long straight"))).hair == "long wavy"
    assert read(draw_portrait(replace(plain, beard="full beard"))).beard == "full beard"
    assert read(draw_portrait(plain)).beard == "none"
    assert read(draw_portrait(replace(plain, glasses="square"))).glasses == "square"
    assert read(draw_portrait(plain)).glasses == "none"
    for color in ("black", "blonde", "ginger", "blue"):
        assert read(draw_portrait(replace(plain, hair="side-parted", hair_color=color))).hair_color == color
