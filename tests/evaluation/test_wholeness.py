"""Whole faces: the judge agrees with the eye, whatever the size of the video, and how sharp a face is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from toys import clip_of, landscape, two_people

from concat_id.evaluation.benchmark import Benchmark
from concat_id.evaluation.judges import Judges
from concat_id.evaluation.metrics import PROTOCOLS, measure, share_of_whole
from concat_id.evaluation.sharpness import face_gradient
from concat_id.evaluation.wholeness import CROP_PX, WholenessJudge, crop_face
from concat_id.references.faces import FaceFinder
from train.export.evaluation import export_whole_faces
from train.measure.whole_faces import choose_threshold, split_held_out
from train.scoring.whole_faces import WholeFaceNetwork


@pytest.fixture(scope="module")
def finder(judges: Judges) -> FaceFinder:
    return judges.scorer.finder


def break_face(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A frame in which one eye is painted over by what is round about."""
    broken, (x, y) = frame.copy(), landmarks[0].round().astype(int)
    reach = round(0.45 * float(np.linalg.norm(landmarks[1] - landmarks[0])))
    patch = broken[y - reach : y + reach, x - reach : x + reach]
    patch[:] = np.median(patch.reshape(-1, 3), axis=0)
    return broken


class TestJudge:
    def test_it_agrees_with_the_eye_on_faces_that_it_has_never_seen(self, judges: Judges) -> None:
        judged, true, chosen = split_held_out()
        called = judges.wholeness.judge(judged["crops"].permute(0, 2, 3, 1).numpy())
        called, whole = called >= judges.wholeness.threshold, judged["whole"].numpy() > 0
        other = ~chosen.numpy()
        assert (called == whole)[other].mean() >= 0.75
        assert called[true.numpy()].mean() > called[~true.numpy()].mean() + 0.3

    def test_a_face_of_which_an_eye_is_gone_is_not_whole(self, judges: Judges, finder: FaceFinder) -> None:
        frames, broken, faces = [], [], []
        for seed in range(50, 62):
            frame = clip_of(seed, num_frames=1)[0]
            face = finder.find_largest(frame)
            frames, faces = [*frames, frame], [*faces, [face]]
            broken.append(break_face(frame, face.landmarks))
        assert judges.wholeness.are_whole(np.stack(frames), faces).mean() >= 0.75
        assert judges.wholeness.are_whole(np.stack(broken), faces).mean() <= 0.25

    @pytest.mark.parametrize("size", [128, 256])
    def test_videos_may_be_of_any_size(self, judges: Judges, finder: FaceFinder, size: int) -> None:
        frames = np.concatenate([clip_of(seed, size=size, num_frames=1) for seed in range(50, 56)])
        faces = [[finder.find_largest(frame)] for frame in frames]
        assert judges.wholeness.are_whole(frames, faces).mean() >= 0.8
        landmarks = faces[0][0].landmarks
        other = np.asarray(Image.fromarray(frames[0]).resize((384, 384), Image.Resampling.BICUBIC))
        same = crop_face(other, (landmarks + 0.5) * 384 / size - 0.5)
        assert np.abs(same.astype(int) - crop_face(frames[0], landmarks)).mean() < 6

    def test_frames_keep_their_own_probabilities(self, judges: Judges, finder: FaceFinder) -> None:
        pair = np.asarray(two_people(0, 256))
        faces = finder.find_in_frame(pair)
        found = judges.wholeness.whole_probability([pair, pair, pair], [faces, [], faces[:1]])
        assert [len(part) for part in found] == [2, 0, 1]
        assert found[2][0] == pytest.approx(found[0][0], abs=1e-5)
        assert judges.wholeness.whole_probability([pair], [[]])[0].shape == (0,)

    def test_a_frame_that_lacks_a_face_is_not_whole(self, judges: Judges, finder: FaceFinder) -> None:
        pair = np.asarray(two_people(0, 256))
        both = finder.find_in_frame(pair)
        frames = np.stack([pair] * 2)
        assert share_of_whole(judges.wholeness, [[both[0]] * 2, [both[1], None]], frames) <= 0.5
        assert share_of_whole(judges.wholeness, [[None] * 2, [None] * 2], frames) == 0

    def test_the_exported_file_judges_as_the_network_does(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        network = WholeFaceNetwork((4, 4, 8, 8)).eval()
        export_whole_faces(network, tmp_path / "whole.onnx", threshold=0.25)
        judge = WholenessJudge(tmp_path / "whole.onnx")
        crops = np.random.default_rng(0).integers(0, 256, (3, CROP_PX, CROP_PX, 3), np.uint8)
        pixels = torch.from_numpy(crops).permute(0, 3, 1, 2) / 255
        with torch.inference_mode():
            expected = ((network(pixels) + network(pixels.flip(3))) / 2).sigmoid()
        assert judge.judge(crops) == pytest.approx(expected.numpy(), abs=1e-4)
        assert judge.threshold == 0.25

    def test_the_threshold_errs_as_often_to_either_side(self) -> None:
        probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.25, 0.6, 0.8, 0.9])
        whole = np.arange(8) >= 4
        threshold = choose_threshold(probabilities, whole)
        assert (
            (probabilities[whole] >= threshold).mean() == (probabilities[~whole] < threshold).mean() == 0.75
        )


class TestSharpness:
    def test_it_falls_with_blur_and_does_not_know_the_size(self, finder: FaceFinder) -> None:
        frame = Image.fromarray(clip_of(50, size=256, num_frames=1)[0])
        landmarks = finder.find_largest(np.asarray(frame)).landmarks
        sharp = face_gradient(frame, landmarks)
        assert face_gradient(frame.filter(ImageFilter.GaussianBlur(4)), landmarks) < 0.8 * sharp
        large = frame.resize((512, 512), Image.Resampling.BICUBIC)
        assert face_gradient(large, (landmarks + 0.5) * 2 - 0.5) == pytest.approx(sharp, rel=0.05)


class TestFigures:
    def test_a_video_has_them(self, toy_benchmark: Benchmark, judges: Judges) -> None:
        def figures(frames: np.ndarray) -> dict[str, float]:
            case, galleries = toy_benchmark.cases("single")[0], toy_benchmark.galleries
            protocol = PROTOCOLS["auto"]
            return measure(case, frames, judges, protocol=protocol, galleries=galleries).values

        frames = clip_of(50, identity_seed=3, num_frames=4).copy()
        true = figures(frames)
        assert true["whole_faces"] >= 0.75 and 0.3 < true["sharpness"] < 1.5
        frames[2:] = np.asarray(landscape(128))
        assert figures(frames)["whole_faces"] <= 0.5
        nothing = figures(frames[2:])
        assert nothing["whole_faces"] == 0 and "sharpness" not in nothing
