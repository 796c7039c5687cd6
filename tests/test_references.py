"""A face reference is aligned, masked, and explained; what cannot serve is refused with a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import landscape, portrait, two_people

from concat_id.errors import FaceTooSmall, InvalidJob, NoFaceFound
from concat_id.generation import prepare_reference
from concat_id.job import Reference
from concat_id.parsing import BACKGROUND
from concat_id.presets import FaceTools, load_face_tools
from concat_id.references import CROP_PX, MASKED_LABELS, PreparedReference, mask_face, prepare_face


@pytest.fixture(scope="module")
def tools() -> FaceTools:
    return load_face_tools()


class Labels:
    """A parser that has already decided."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def parse(self, crop: Image.Image) -> np.ndarray:
        return self.labels


def prepare(tools: FaceTools, picture: Image.Image, **choice: object) -> PreparedReference:
    return prepare_face(picture, tools.finder, tools.parser, **choice)


def test_a_portrait_becomes_a_masked_crop(tools: FaceTools) -> None:
    prepared = prepare(tools, portrait(3, 512))
    assert prepared.picture.size == (CROP_PX, CROP_PX) and prepared.picture.mode == "RGB"
    assert prepared.notes == () and len(prepared.faces) == 1 and prepared.face is prepared.faces[0]
    pixels = np.asarray(prepared.picture)
    assert 0.4 <= pixels.any(axis=-1).mean() < 1
    assert pixels[CROP_PX // 2, CROP_PX // 2].any()


def test_turning_the_picture_changes_little_of_what_the_model_sees(tools: FaceTools) -> None:
    picture = portrait(3, 512)
    turned = picture.rotate(12, Image.Resampling.BICUBIC, expand=True)
    straight, tilted = (np.asarray(prepare(tools, image).picture, float) for image in (picture, turned))
    other = np.asarray(prepare(tools, portrait(8, 512)).picture, float)
    assert np.abs(straight - tilted).mean() < np.abs(straight - other).mean()


def test_the_parser_labels_every_pixel_of_the_crop(tools: FaceTools) -> None:
    crop = portrait(3, 200).resize((200, 150))
    labels = tools.parser.parse(crop)
    assert labels.shape == (150, 200) and labels.dtype == np.uint8 and labels.max() < 19


@pytest.mark.parametrize("label", range(19))
def test_only_what_is_not_the_person_is_blacked_out(label: int) -> None:
    crop = Image.new("RGB", (10, 10), (200, 150, 100))
    labels = np.ones((10, 10), np.uint8)
    labels[:, :5] = label
    masked, notes = mask_face(crop, Labels(labels))
    assert notes == ()
    assert np.asarray(masked)[:, 5:].all()
    assert np.asarray(masked)[:, :5].any() == (label not in MASKED_LABELS)


@pytest.mark.parametrize("kept, is_masked", [(40, True), (39, False)])
def test_a_crop_of_which_too_little_would_remain_stays_as_it_is(kept: int, is_masked: bool) -> None:
    crop = Image.new("RGB", (10, 10), (200, 150, 100))
    labels = np.ones(100, np.uint8)
    labels[kept:] = BACKGROUND
    masked, notes = mask_face(crop, Labels(labels.reshape(10, 10)))
    assert (not np.asarray(masked).all()) == is_masked
    assert len(notes) == (0 if is_masked else 1)


def test_of_several_faces_the_largest_is_taken_and_said_so(tools: FaceTools) -> None:
    prepared = prepare(tools, two_people(0))
    assert len(prepared.faces) == 2 and prepared.face is prepared.faces[0]
    assert prepared.notes[0] == "The picture shows 2 faces; the largest one is used."


def test_another_face_can_be_chosen(tools: FaceTools) -> None:
    largest, second = (prepare(tools, two_people(0), face_index=index) for index in (0, 1))
    assert second.face is second.faces[1]
    assert not any("largest" in note for note in second.notes)
    assert not np.array_equal(np.asarray(largest.picture), np.asarray(second.picture))


@pytest.mark.parametrize("face_index", [2, -1])
def test_a_face_that_is_not_there_cannot_be_chosen(tools: FaceTools, face_index: int) -> None:
    with pytest.raises(InvalidJob, match=f"face_index is {face_index}, but faces 0 to 1 were found"):
        prepare(tools, two_people(0), face_index=face_index)


def test_without_a_face_there_is_a_way_out(tools: FaceTools) -> None:
    with pytest.raises(NoFaceFound, match="use the whole picture"):
        prepare(tools, landscape())
    prepared = prepare(tools, landscape(), whole_picture=True)
    assert prepared.face is None and prepared.faces == () and len(prepared.notes) == 1
    assert np.array_equal(np.asarray(prepared.picture), np.asarray(landscape()))


def test_a_face_below_40_px_is_refused_unless_the_whole_picture_is_taken(tools: FaceTools) -> None:
    picture = Image.new("RGB", (300, 300), (70, 110, 80))
    picture.paste(portrait(3, 512).resize((36, 36), Image.Resampling.LANCZOS), (120, 120))
    with pytest.raises(FaceTooSmall, match="less than 40; choose a larger picture"):
        prepare(tools, picture)
    assert prepare(tools, picture, whole_picture=True).face is None


def test_small_faces_beside_a_large_one_are_no_choice(tools: FaceTools) -> None:
    picture = Image.new("RGB", (400, 300), (70, 110, 80))
    picture.paste(portrait(3, 300), (0, 0))
    picture.paste(portrait(8, 512).resize((36, 36), Image.Resampling.LANCZOS), (340, 120))
    prepared = prepare(tools, picture)
    assert len(prepared.faces) == 1 and prepared.notes == ()


def test_a_reference_is_prepared_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    portrait(3).save(path)
    prepared = prepare_reference(Reference("face", str(path)))
    assert prepared.picture.size == (CROP_PX, CROP_PX)
