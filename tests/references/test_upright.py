"""Pictures that lie on their side or stand on their head are looked at upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import landscape, two_people

from concat_id.evaluation.benchmark import Subject
from concat_id.evaluation.judges import load_judges
from concat_id.generation import describe_target, prepare_picture
from concat_id.loading.load import FaceTools, load_face_tools
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference
from concat_id.references.upright import find_upright, stand_upright

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
# One with hair, one bald, one with a beard.
PEOPLE = ("greta", "bruno", "hugo")


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


@pytest.mark.parametrize("role", ["garment", "background"])
def test_who_is_in_a_picture_tells_which_way_up_garments_and_places_are(role: str) -> None:
    reference = Reference(role, "")
    # In a place, people may not take much room.
    upright = landscape(512)
    person = load_picture(EXAMPLES / "bruno.png").resize((160, 160))
    upright.paste(person, (60, 352))
    upright = load_picture(EXAMPLES / "bruno.png") if role == "garment" else upright
    right = prepare_picture(reference, upright, "embedded")
    for turns in (1, 2):
        turned = Image.fromarray(np.rot90(np.asarray(upright), turns).copy())
        seen = prepare_picture(reference, turned, "embedded")
        assert np.array_equal(np.asarray(seen.picture), np.asarray(right.picture))
        assert "turned upright" in seen.notes[0] and seen.notes[1:] == right.notes
    # What somebody cut out turns with its transparency.
    if role == "garment":
        worn = upright.convert("RGBA")
        worn.putalpha(Image.linear_gradient("L").resize(worn.size))
        seen, right = (
            prepare_picture(reference, picture, "embedded").picture
            for picture in (worn.transpose(Image.Transpose.ROTATE_180), worn)
        )
        assert np.array_equal(np.asarray(seen), np.asarray(right))


@pytest.mark.parametrize("name", ["garments/checked-hoodie", "places/beach"])
def test_of_nobody_nothing_is_turned(name: str, tools: FaceTools) -> None:
    (path,) = EXAMPLES.glob(f"{name}.png")
    picture = load_picture(path, keep_alpha=True)
    for turned in (picture, picture.transpose(Image.Transpose.ROTATE_90)):
        assert stand_upright(turned, tools.finder, tools.parser) == (turned, 0)


def test_judges_look_at_a_turned_picture_as_the_model_did(tmp_path: Path) -> None:
    judges = load_judges("embedded")
    turned = tmp_path / "greta.png"
    Image.open(EXAMPLES / "greta.png").transpose(Image.Transpose.ROTATE_180).save(turned)
    upright, lying = Subject("greta", EXAMPLES / "greta.png"), Subject("turned", turned)
    first, second = judges.know(upright), judges.know(lying)
    assert first.arcface @ second.arcface > 0.999
    assert judges.know_gradient(upright) == pytest.approx(judges.know_gradient(lying))


def test_a_whole_picture_stays_as_it_is() -> None:
    picture = load_picture(EXAMPLES / "greta.png").rotate(180)
    seen = prepare_picture(Reference("face", "", whole_picture=True), picture, "embedded")
    assert np.array_equal(np.asarray(seen.picture), np.asarray(picture))
