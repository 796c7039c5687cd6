"""Faces are found at every size and place, largest first, and aligned by their landmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import clip_of, landscape, portrait, two_people

from concat_id.errors import WeightsUnavailable
from concat_id.loading.load import load_face_tools
from concat_id.references.faces import FaceFinder, align_face


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return load_face_tools().finder


@pytest.mark.parametrize("size", [64, 128, 512, 1500])
def test_a_portrait_is_found_at_every_size(finder: FaceFinder, size: int) -> None:
    picture = portrait(3, 512).resize((size, size))
    (face,) = finder.find(picture)
    assert 0.3 * size < face.side_px < size
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert 0.5 <= face.score <= 1


def test_a_small_face_in_a_large_picture_is_found_where_it_is(finder: FaceFinder) -> None:
    scene = Image.new("RGB", (1600, 900), (70, 110, 80))
    scene.paste(portrait(3, 160), (1200, 500))
    (face,) = finder.find(scene)
    center = (face.box[:2] + face.box[2:]) / 2
    assert np.abs(center - (1280, 580)).max() < 40


def test_the_larger_of_two_faces_comes_first(finder: FaceFinder) -> None:
    picture = Image.new("RGB", (600, 400), (90, 90, 90))
    picture.paste(portrait(1, 150), (30, 30))
    picture.paste(portrait(3, 350), (220, 30))
    faces = finder.find(picture)
    assert len(faces) == 2
    assert faces[0].box[0] > 220 and faces[1].box[2] < 200
    assert faces[0].area_px > faces[1].area_px


def test_two_people_of_one_scene_are_found(finder: FaceFinder) -> None:
    left, right = sorted(finder.find(two_people(0)), key=lambda face: face.box[0])
    assert left.box[2] < right.box[0] + 20


def test_a_landscape_has_no_face(finder: FaceFinder) -> None:
    assert finder.find(landscape()) == []
    assert finder.find_largest(landscape()) is None


def test_extreme_shapes_are_searched_too(finder: FaceFinder) -> None:
    picture = Image.new("RGB", (4000, 200), (120, 130, 140))
    picture.paste(portrait(3, 200), (1900, 0))
    assert all(face.side_px > 0 for face in finder.find(picture))


def test_every_frame_of_a_clip_has_its_face(finder: FaceFinder) -> None:
    for frame in clip_of(5, num_frames=9):
        face = finder.find_largest(frame)
        assert face is not None and face.side_px > 30


def test_embeddings_are_unit_vectors_that_know_people(finder: FaceFinder) -> None:
    first, second, other = (
        finder.find_largest(frame)
        for frame in (*clip_of(5, num_frames=9)[[0, -1]], clip_of(8, num_frames=1)[0])
    )
    assert np.linalg.norm(first.embedding) == pytest.approx(1, abs=1e-5)
    assert first.embedding @ second.embedding > first.embedding @ other.embedding


def test_pictures_and_arrays_are_read_alike(finder: FaceFinder) -> None:
    picture = portrait(3)
    from_picture, from_array = finder.find(picture)[0], finder.find(np.asarray(picture))[0]
    assert np.array_equal(from_picture.box, from_array.box)
    assert np.array_equal(from_picture.embedding, from_array.embedding)


def test_finding_prints_nothing(finder: FaceFinder, capfd: pytest.CaptureFixture[str]) -> None:
    finder.find(portrait(3))
    assert capfd.readouterr() == ("", "")


def test_alignment_puts_the_landmarks_where_arcface_wants_them() -> None:
    target = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]]) * 4
    turn, scale = np.deg2rad(25), 0.4
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = target @ rotation.T + (150, 40)
    pixels = np.zeros((300, 400, 3), np.uint8)
    for x, y in landmarks.round().astype(int):
        pixels[y - 2 : y + 3, x - 2 : x + 3] = 255
    crop = np.asarray(align_face(Image.fromarray(pixels), landmarks, 448))
    assert crop.shape == (448, 448, 3)
    assert all(crop[round(y), round(x)].min() > 200 for x, y in target)


def test_an_empty_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="holds no ONNX files"):
        FaceFinder(tmp_path)
