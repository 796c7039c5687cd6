"""The steps of curation one by one: clips, people, references, on footage and on arrays made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from concat_id.loading.presets import EMBEDDED
from concat_id.references.faces import FaceFinder
from train.curation.caption_words import mentions_people
from train.curation.clips import read_clips
from train.curation.head_pose import estimate_pose
from train.curation.people import tell_people_apart
from train.curation.rendered_footage import InvalidFootage, Plan, film_footage, read_truth
from train.curation.rules import ClipRules, FaceRules, PeopleRules, ReferenceRules
from train.curation.sightings import Sightings, find_faces
from train.curation.sources import UnreadableSources, fingerprint, read_sources
from train.curation.stored_references import choose_sharp_and_varied, judge_faces
from train.curation.verdicts import Dropped
from train.curation.work import Work, tag_steps


def see(frames: list[list[tuple[float, int]]]) -> Sightings:
    """Faces at these horizontal places of people with these numbers, frame by frame."""
    rows = [(number, x, who) for number, frame in enumerate(frames) for x, who in sorted(frame)]
    x = np.array([row[1] for row in rows], np.float32)
    boxes = np.stack([x - 10, np.full_like(x, 20), x + 10, np.full_like(x, 50)], 1)
    frontal = np.array([[-5, 0], [5, 0], [0, 5.7], [-4, 10], [4, 10]], np.float32)
    points = frontal + np.stack([x, np.full_like(x, 30)], 1)[:, None]
    return Sightings(
        np.array([row[0] for row in rows], np.int64),
        boxes,
        points,
        np.eye(8, dtype=np.float32)[np.array([row[2] for row in rows], int)],
    )


def tell(frames: list[list[tuple[float, int]]], **rules: int):
    return tell_people_apart(see(frames), len(frames), 200, min_cosine=0.5, rules=PeopleRules(**rules))


def test_people_are_numbered_from_left_to_right_and_followed_when_they_cross() -> None:
    people = tell([[(150.0, 1), (50.0, 0)]] * 4 + [[(80.0, 1), (120.0, 0)]])
    assert people.count == 2 and people.mean_x.tolist() == pytest.approx([0.32, 0.68])
    assert people.person.tolist() == [0, 1] * 4 + [1, 0]
    # In the last frame they contradict the order.
    assert people.fits_order.tolist() == [True] * 8 + [False] * 2


def test_a_face_too_many_is_nobodys() -> None:
    people = tell([[(50.0, 0)]] * 6 + [[(50.0, 0), (150.0, 3)]])
    assert (
        people.person.tolist() == [0] * 7 + [-1] and people.fits_order[:7].all() and not people.fits_order[7]
    )


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([[]] * 5, "nobody"),
        ([[(50.0, 0)]] * 2 + [[]] * 8, "nobody"),
        ([[(20.0 * who, who) for who in range(4)]] * 5, "crowd"),
        ([[(50.0, 0)]] * 5 + [[(50.0, 0), (90.0, 1)]] * 4, "people come and go"),
        ([[(50.0, number % 2)] for number in range(6)], "face changes"),
        ([[(50.0, 0)]] * 5 + [[(50.0, 1)]] * 5, "face changes"),
    ],
)
def test_clips_that_show_no_steady_people_are_dropped(frames: list, reason: str) -> None:
    with pytest.raises(Dropped) as dropped:
        tell(frames)
    assert dropped.value.reason == reason and str(dropped.value).endswith(".")


def test_a_single_foreign_face_does_not_drop_a_clip() -> None:
    assert tell([[(50.0, 0)]] * 5 + [[(50.0, 1)]] + [[(50.0, 0)]] * 5).count == 1


def test_of_each_fifth_of_the_time_the_sharpest_face_is_stored() -> None:
    sharpness = np.array([1, 9, 2, 3, 8, 1, 7, 2, 5, 4], np.float32)
    assert choose_sharp_and_varied(np.arange(10), sharpness).tolist() == [1, 3, 4, 6, 8]
    assert choose_sharp_and_varied(np.array([2, 7]), sharpness).tolist() == [2, 7]
    assert choose_sharp_and_varied(np.array([], int), sharpness).tolist() == []


def test_a_head_that_is_turned_away_is_no_reference() -> None:
    seen = see([[(50.0, 0)]] * 3)
    seen.landmarks[1, 2, 0] += 12
    people = tell_people_apart(seen, 3, 200, min_cosine=0.5, rules=PeopleRules())
    frames = [np.random.default_rng(0).integers(0, 255, (100, 200, 3), dtype=np.uint8)] * 3
    judged = judge_faces(frames, seen, people, ReferenceRules())
    assert judged.usable.tolist() == [True, False, True] and judged.reasons == [{"turned away": 1}]
    assert judged.sharpness[1] == 0 < judged.sharpness[0]


def test_the_pose_of_a_head_is_read_off_its_landmarks() -> None:
    frontal = see([[(50.0, 0)]]).landmarks
    assert np.abs(estimate_pose(frontal)).max() < 0.5
    right, down = frontal.copy(), frontal.copy()
    right[0, 2, 0] += 2
    down[0, 2, 1] += 2
    assert estimate_pose(right)[0, 0] > 15 and estimate_pose(down)[0, 1] > 15
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(
        estimate_pose(right @ turn)[0] - estimate_pose(right)[0], [0, 0, 30], atol=1e-3
    )


def test_captions_mention_people_by_whole_words() -> None:
    assert mentions_people("A Man, smiling.") and mentions_people("two children play")
    assert not mentions_people("a manual on a womanly roman shelf") and not mentions_people("")


def test_clips_of_a_film_follow_each_other_without_a_gap(footage: Path) -> None:
    films = [film for film in read_truth(footage / "truth.json") if film.kind == "film"]
    film = max(films, key=lambda film: len(film.shots))
    whole = list(read_clips(str(footage / "videos" / film.name), ClipRules()))
    assert len(whole) == len(film.shots)
    for clip, shot in zip(whole, film.shots, strict=True):
        assert clip.start_s == pytest.approx(shot.start_s, abs=0.1)
        assert clip.end_s == pytest.approx(shot.end_s, abs=0.15)
        assert len(clip.frames) == 4 and np.diff(clip.times).min() > 0.4
    pieces = list(read_clips(str(footage / "videos" / film.name), ClipRules(max_clip_s=1.4, min_clip_s=0.2)))
    assert len(pieces) == 2 * len(film.shots) and [clip.index for clip in pieces] == list(range(len(pieces)))


def test_an_upright_recording_is_turned_so_that_its_face_is_found(footage: Path) -> None:
    (clip,) = read_clips(str(footage / "videos/held-upright-000.mp4"), ClipRules())
    seen = find_faces(clip.frames, FaceFinder(EMBEDDED / "face_pack"), FaceRules())
    assert seen.frame.tolist() == [0, 1, 2, 3] and seen.boxes.shape == (4, 4)


def test_sources_come_from_folders_and_lists(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.mp4", "deep/a.mp4", ".hidden.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "b.txt").write_text("A man.\n")
    folder = read_sources(tmp_path)
    assert [(source.name, source.caption) for source in folder] == [("b.mp4", "A man."), ("deep/a.mp4", "")]
    assert fingerprint(folder[0].path) != fingerprint(folder[1].path)
    (tmp_path / "list.csv").write_text("video,caption,more\ndeep/a.mp4,A woman.,1\n")
    (source,) = read_sources(tmp_path / "list.csv")
    assert (source.name, source.caption) == ("deep/a.mp4", "A woman.")
    assert Path(source.path).read_bytes() == b"deep/a.mp4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,caption\na,b\n", r"has the columns \['path', 'caption'\], not video; add what is missing"),
        ("video,caption\na.mp4,x\na.mp4,y\n", "lists 'a.mp4' 2 times; keep one"),
        ("video,caption\n ,x\n", "a row without a video"),
        ("video,caption\n", "holds no files"),
        ("", "has the columns"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UnreadableSources, match=said):
        read_sources(tmp_path / "list.csv")


def test_inputs_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSources, match="neither a folder nor a CSV or Parquet file"):
        read_sources(tmp_path / "nothing")
    (tmp_path / "list.parquet").write_bytes(b"no Parquet")
    with pytest.raises(UnreadableSources, match="cannot be read as a list of videos"):
        read_sources(tmp_path / "list.parquet")


def test_results_are_kept_by_rules_and_a_damaged_one_is_made_again(tmp_path: Path) -> None:
    names = {key: "" for key in ("faces", "bound", "face_parser", "aesthetics", "garments", "backgrounds")}
    tags = tag_steps(train_rules(), names)
    work = Work(tmp_path, tags)
    work.write("faces", "ab-cd-000", {"x": [1]}, {"boxes": np.eye(2)})
    result = work.read("faces", "ab-cd-000")
    assert result is not None and result.record == {"x": [1]} and (result.arrays["boxes"] == np.eye(2)).all()
    work.path("faces", "ab-cd-000").write_bytes(b"half")
    assert work.has("faces", "ab-cd-000") and work.read("faces", "ab-cd-000") is None
    other = tag_steps(train_rules(), names | {"face_parser": "another"})
    assert [step for step in tags if tags[step] != other[step]] == ["references", "cut_outs"]


def train_rules():
    from train.curation.rules import Rules

    return Rules()


def test_footage_is_not_written_over_other_things_nor_beside_its_truth(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InvalidFootage, match="is not empty; name a new folder"):
        film_footage(tmp_path, tmp_path.parent / "truth.json", Plan(films=1))
    with pytest.raises(InvalidFootage, match="would lie among the footage"):
        film_footage(tmp_path / "videos", tmp_path / "videos/truth.json", Plan(films=1))
    with pytest.raises(InvalidFootage, match="people is 2"):
        Plan(people=2)
