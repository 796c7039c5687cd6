"""Pictures that lie on their side or stand on their head are looked at upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import landscape, two_people

from concat_id.generation import describe_target, prepare_picture
from concat_id.loading.load import FaceTools, load_face_tools
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference
from concat_id.references.upright import find_upright

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
# One with hair, one bald, one with a beard.
PEOPLE = ("ada", "bruno", "hugo")


@pytest.fixture(scope="module")
def tools() -> FaceTools:
    return load_face_tools("embedded")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("name", PEOPLE)
def test_what_the_model_sees_stands_upright(name: str, turns: int) -> None:
    picture = load_picture(EXAMPLES / f"{name}.png")
    turned = Image.fromarray(np.rot90(np.asarray(picture), turns).copy())
    reference = Reference("face", "")
    upright, seen = (prepare_picture(reference, image, "embedded") for image in (picture, turned))
    assert np.array_equal(np.asarray(seen.picture), np.asarray(upright.picture))
    said = any("turned upright" in note for note in seen.notes)
    assert said == (turns > 0)
    targets = [
        describe_target([reference], [image], [prepared], "embedded", with_text=False)
        for image, prepared in ((picture, upright), (turned, seen))
    ]
    assert targets[0].faces[0].arcface @ targets[1].faces[0].arcface > 0.99


def test_a_group_is_turned_as_a_whole(tools: FaceTools) -> None:
    picture = two_people(3)
    turned = find_upright(picture.transpose(Image.Transpose.ROTATE_90), tools.finder, tools.parser)
    assert turned.quarter_turns == 3 and np.array_equal(np.asarray(turned.picture), np.asarray(picture))
    assert len(turned.faces) == len(tools.finder.find(picture)) == 2


def test_a_place_has_no_face_in_any_turn(tools: FaceTools) -> None:
    assert find_upright(landscape(), tools.finder, tools.parser).faces == ()


def test_a_whole_picture_stays_as_it_is() -> None:
    picture = load_picture(EXAMPLES / "ada.png").rotate(180)
    seen = prepare_picture(Reference("face", "", whole_picture=True), picture, "embedded")
    assert np.array_equal(np.asarray(seen.picture), np.asarray(picture))
