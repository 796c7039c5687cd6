"""Photographed faces are told from drawn ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from concat_id.loading.load import load_face_tools
from concat_id.people.portrait import Traits, draw_portrait
from concat_id.people.scene import SEED_RANGES
from concat_id.references.photographs import MAX_DRAWN_TEXTURE, is_photographed, measure_texture

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
SEED = SEED_RANGES["test"][0] + 300


def compress(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def texture(picture: Image.Image) -> float:
    face = load_face_tools("embedded").finder.find(picture)[0]
    assert is_photographed(picture, face) == (measure_texture(picture, face) > MAX_DRAWN_TEXTURE)
    return measure_texture(picture, face)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """An astronaut, who comes with scikit-image."""
    return Image.fromarray(skimage.data.astronaut())


def test_a_photograph_is_one_when_small_compressed_or_dark(photograph: Image.Image) -> None:
    variants = (
        photograph,
        photograph.resize((256, 256), Image.Resampling.LANCZOS),
        compress(photograph, 40),
        photograph.point(lambda value: value * 0.5),
    )
    assert [texture(picture) > MAX_DRAWN_TEXTURE for picture in variants] == [True] * 4


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.png")), ids=lambda path: path.stem)
def test_example_people_are_drawn(path: Path) -> None:
    assert texture(Image.open(path).convert("RGB")) < 0.6 * MAX_DRAWN_TEXTURE


@pytest.mark.parametrize("number", range(6))
def test_portraits_are_drawn_also_when_small_or_compressed(number: int) -> None:
    portrait = draw_portrait(Traits.of_seed(SEED + number))
    for picture in (portrait, compress(portrait, 40), portrait.resize((224, 224), Image.Resampling.LANCZOS)):
        assert texture(picture) < MAX_DRAWN_TEXTURE


def test_the_grain_of_a_camera_makes_a_portrait_a_photograph() -> None:
    portrait = draw_portrait(Traits.of_seed(SEED))
    grain = np.random.default_rng(1).normal(0, 16, (512, 512, 1))
    pixels = (np.asarray(portrait) * 0.8 + grain).clip(0, 255).astype(np.uint8)
    assert texture(Image.fromarray(pixels)) > MAX_DRAWN_TEXTURE
