"""References are prepared by their roles and explained; what cannot serve is refused with a way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import Labels, garment, landscape, portrait, two_people

from concat_id.errors import FaceTooSmall, InvalidJob, NoFaceFound, NoGarmentFound, PlaceHidden
from concat_id.generation import prepare_reference
from concat_id.loading.load import FaceTools, load_clothes_parser, load_face_tools
from concat_id.references.garments import MARGIN, WORKING_PX
from concat_id.references.parsing import BACKGROUND, GARMENT_LABELS, Parser
from concat_id.references.prepare import (
    CROP_PX,
    MASKED_LABELS,
    MAX_PEOPLE_SHARE,
    PreparedReference,
    mask_face,
    prepare_background,
    prepare_face,
    prepare_garment,
)
from concat_id.references.reference import Reference


@pytest.fixture(scope="module")
def tools() -> FaceTools:
    return load_face_tools()


UPPER_CLOTHES, FACE, BAG = 4, 11, 16


def labels_of(label: int, box: tuple[int, int, int, int], size: tuple[int, int] = (200, 100)) -> Labels:
    """Labels that are zero but for a box (left, top, right, bottom) in a picture of that width and height."""
    labels = np.zeros(size[::-1], np.uint8)
    labels[box[1] : box[3], box[0] : box[2]] = label
    return Labels(labels)


def noise(size: tuple[int, int] = (200, 100)) -> Image.Image:
    """A picture without any black."""
    return Image.fromarray(np.random.default_rng(0).integers(1, 256, (*size[::-1], 3), dtype=np.uint8))


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


def test_a_garment_is_cut_out_onto_black_and_cropped_with_a_margin() -> None:
    picture = noise()
    prepared = prepare_garment(picture, labels_of(UPPER_CLOTHES, (60, 20, 120, 70)))
    margin = round(MARGIN * 60)
    assert prepared.picture.size == (60 + 2 * margin, 50 + 2 * margin)
    pixels = np.asarray(prepared.picture)
    assert np.array_equal(pixels[margin:-margin, margin:-margin], np.asarray(picture)[20:70, 60:120])
    assert pixels.any(axis=-1).sum() == 50 * 60
    assert prepared.notes == () and prepared.face is None and prepared.faces == ()


def test_a_garment_at_the_pictures_edge_has_its_margin_in_black() -> None:
    prepared = prepare_garment(noise(), labels_of(UPPER_CLOTHES, (0, 0, 200, 100)))
    assert prepared.picture.size == (200 + 2 * round(MARGIN * 200), 100 + 2 * round(MARGIN * 200))
    assert not np.asarray(prepared.picture)[0].any()


@pytest.mark.parametrize("label", range(18))
def test_only_clothing_is_kept_of_a_garments_picture(label: int) -> None:
    parser = labels_of(label, (60, 20, 120, 70))
    if label in GARMENT_LABELS:
        assert prepare_garment(noise(), parser).picture.size[0] < 70
    else:
        with pytest.raises(NoGarmentFound, match="no clothing was found .* or use the whole picture.$"):
            prepare_garment(noise(), parser)


def test_specks_do_not_widen_the_garments_crop() -> None:
    parser = labels_of(UPPER_CLOTHES, (60, 20, 120, 70))
    alone = prepare_garment(noise(), parser).picture
    parser.labels[95:98, 190:195] = UPPER_CLOTHES
    assert prepare_garment(noise(), parser).picture.size == alone.size
    parser.labels[20:70, 140:160] = UPPER_CLOTHES  # a sleeve apart
    assert prepare_garment(noise(), parser).picture.width > alone.width


def test_camera_pictures_are_worked_on_at_a_bearable_size() -> None:
    parser = labels_of(UPPER_CLOTHES, (0, 0, 200, 100))
    large = noise((3000, 1500))
    assert prepare_garment(large, parser, whole_picture=True).picture.size == (WORKING_PX, WORKING_PX // 2)
    assert prepare_background(large, labels_of(0, (0, 0, 1, 1))).picture.size == (WORKING_PX, WORKING_PX // 2)


def test_people_are_removed_from_a_place_and_said_so() -> None:
    place = landscape(200)
    picture = place.copy()
    picture.paste((255, 0, 255), (80, 60, 130, 190))
    for label in (UPPER_CLOTHES, FACE, BAG):
        prepared = prepare_background(picture, labels_of(label, (80, 60, 130, 190), (200, 200)))
        assert prepared.notes == (
            "The people in the picture were removed; what lies behind them is guessed from around them.",
        )
        pixels, before = (np.asarray(image, float) for image in (prepared.picture, place))
        assert np.array_equal(pixels[:, :70], before[:, :70]) and np.array_equal(pixels[:40], before[:40])
        hidden = np.s_[60:190, 80:130]
        with_people = np.asarray(picture, float)
        assert np.abs(pixels[hidden] - before[hidden]).mean() < 40
        assert np.abs(pixels[hidden] - with_people[hidden]).mean() > 80


def test_an_empty_place_stays_as_it_is() -> None:
    prepared = prepare_background(landscape(), labels_of(FACE, (5, 5, 6, 6)))
    assert prepared.notes == () and np.array_equal(np.asarray(prepared.picture), np.asarray(landscape()))


def test_a_place_that_people_hide_is_refused_unless_it_is_wanted_whole() -> None:
    parser = labels_of(FACE, (0, 0, 120, 100))
    with pytest.raises(PlaceHidden, match=f"people hide 62 % .* {100 * MAX_PEOPLE_SHARE:.0f} %"):
        prepare_background(noise(), parser)
    prepared = prepare_background(noise(), parser, whole_picture=True)
    assert np.array_equal(np.asarray(prepared.picture), np.asarray(noise()))
    assert prepared.notes == ("The whole picture serves as the reference.",)


class TestEmbeddedParser:
    """Preparation with the parser that is part of the repository, on pictures it has never seen."""

    @pytest.fixture(scope="class")
    @classmethod
    def parser(cls) -> Parser:
        return load_clothes_parser()

    def test_a_garment_is_found_alone_and_on_a_person(self, parser: Parser) -> None:
        for picture in (garment(3), two_people(0)):
            prepared = prepare_garment(picture, parser).picture
            assert min(prepared.size) > 50 and 0.3 < np.asarray(prepared).any(axis=-1).mean() < 1

    def test_preparing_a_prepared_garment_changes_little(self, parser: Parser) -> None:
        once = prepare_garment(garment(3), parser).picture
        twice = prepare_garment(once, parser).picture.resize(once.size)
        kept = [np.asarray(picture).any(axis=-1) for picture in (once, twice)]
        assert (kept[0] == kept[1]).mean() > 0.9

    def test_a_landscape_wears_nothing(self, parser: Parser) -> None:
        with pytest.raises(NoGarmentFound):
            prepare_garment(landscape(), parser)

    def test_places_are_told_from_people(self, parser: Parser) -> None:
        assert prepare_background(landscape(), parser).notes == ()
        with pytest.raises(PlaceHidden):
            prepare_background(portrait(3), parser)
        small = landscape(512)
        small.paste(two_people(0, 512).resize((230, 230)), (140, 282))
        assert "removed" in prepare_background(small, parser).notes[0]

    def test_references_are_prepared_by_their_role(self, tmp_path: Path) -> None:
        garment(3).save(tmp_path / "garment.png")
        landscape().save(tmp_path / "place.png")
        cut_out = prepare_reference(Reference("garment", tmp_path / "garment.png")).picture
        place = prepare_reference(Reference("background", tmp_path / "place.png")).picture
        assert not np.asarray(cut_out)[0].any() and place.size == landscape().size


class TestCutOutGarments:
    """A garment that somebody cut out already, as a PNG with transparency."""

    def cut(self, picture: Image.Image, mask: np.ndarray) -> Image.Image:
        """The picture, transparent where the mask, (H, W) bool, is not."""
        cut = picture.copy()
        cut.putalpha(Image.fromarray((mask * 255).astype(np.uint8)))
        return cut

    def test_its_own_mask_is_the_best(self) -> None:
        picture = garment(3)
        labels = np.zeros((256, 256), np.uint8)
        labels[100:140, 100:140] = 4  # what a parser would find
        mask = np.zeros((256, 256), bool)
        mask[60:200, 80:180] = True
        seen = prepare_garment(self.cut(picture, mask), Labels(labels))
        kept = np.asarray(seen.picture).any(-1)
        right = (np.asarray(picture) * mask[..., None]).any(-1)
        assert kept.sum() == right.sum()
        for corner in (kept[0], kept[-1], kept[:, 0], kept[:, -1]):
            assert not corner.any()  # black around it

    def test_what_is_worn_in_it_is_cut_out_of_it(self) -> None:
        labels = np.zeros((256, 256), np.uint8)
        labels[20:100, 80:180], labels[100:200, 80:180] = 11, 4  # a face above clothes
        mask = labels > 0
        seen = prepare_garment(self.cut(garment(3), mask), Labels(labels))
        assert np.asarray(seen.picture).any(-1).sum() <= 100 * 100

    def test_a_whole_one_is_on_black(self) -> None:
        mask = np.zeros((256, 256), bool)
        mask[60:200, 80:180] = True
        seen = prepare_garment(self.cut(garment(3), mask), Labels(mask.astype(np.uint8)), whole_picture=True)
        pixels = np.asarray(seen.picture)
        assert seen.picture.mode == "RGB" and not pixels[~mask].any()
