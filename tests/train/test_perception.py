"""How the models around the generator learn: alignment, anchors, pictures, training steps."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from insightface.model_zoo.scrfd import SCRFD
from insightface.utils import face_align
from torch import Tensor, nn

from concat_id.people import sample_scenes
from concat_id.people.labels import CLOTH, HAT, NECK
from train.perception import data as perception_data
from train.perception.anchors import (
    FACE,
    IGNORED,
    NOTHING,
    assign_faces,
    decode_boxes,
    decode_landmarks,
    make_anchors,
)
from train.perception.clothes_parser import LABEL_MAP as CLOTHES_MAP
from train.perception.clothes_parser import ClothesParser, relabel
from train.perception.data import CONTENT_SHARES, ClothesData, DetectionData, frame_anew
from train.perception.detection_canvas import compose_canvases
from train.perception.detector import Detector
from train.perception.face_parser import LABEL_MAP as FACE_MAP
from train.perception.face_parser import FaceParser
from train.perception.parser import Parser as ParserModule
from train.perception.picture_cache import (
    MAX_PEOPLE,
    NOBODY,
    PICTURE_SIZE,
    WARDROBE_SEED,
    Pictures,
    take_pictures,
)
from train.perception.recognizer import ArcFaceHead, Recognizer
from train.pictures.alignment import ARCFACE_POINTS, align_faces, estimate_similarity
from train.pictures.cut_outs import cut_out, fill_in, roughen
from train.pictures.degradation import Degradation, cosine_basis
from train.scoring.caption_data import CaptionData, draw_alike
from train.scoring.clip import PICTURES, Clip, train_tokenizer
from train.scoring.companion_cache import take_companions

STRIDES = (8, 16, 32)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make_pictures(count: int, generator: torch.Generator) -> Pictures:
    """Noise with one face in the middle of each picture."""
    boxes = torch.zeros(count, MAX_PEOPLE, 4)
    boxes[:, 0] = torch.tensor([40.0, 30.0, 90.0, 95.0])
    landmarks = torch.zeros(count, MAX_PEOPLE, 5, 2)
    landmarks[:, 0] = torch.tensor(ARCFACE_POINTS) * 0.6 + torch.tensor([32.0, 24.0])
    identities = torch.full((count, MAX_PEOPLE), NOBODY)
    identities[:, 0] = torch.arange(count) % 4
    frames = torch.randint(0, 256, (count, 3, PICTURE_SIZE, PICTURE_SIZE), generator=generator)
    return Pictures(
        frames=frames.byte(),
        labels=torch.zeros(count, PICTURE_SIZE, PICTURE_SIZE, dtype=torch.uint8),
        boxes=boxes,
        landmarks=landmarks,
        identities=identities,
        present=identities != NOBODY,
        scenes=torch.arange(count) // 2,
    )


def train_steps(module: nn.Module, batch: dict[str, Tensor], steps: int) -> Iterator[float]:
    """Losses of a few real training steps outside a trainer."""
    module.log_dict = lambda *args, **kwargs: None
    module._trainer = types.SimpleNamespace(global_step=0, max_steps=steps + 1)
    setup = module.configure_optimizers()
    optimizer, schedule = setup["optimizer"], setup["lr_scheduler"]["scheduler"]
    for index in range(steps):
        loss = module.training_step(batch, index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.item()


class TestAlignment:
    def test_equals_insightface(self) -> None:
        rng = np.random.default_rng(0)
        picture = rng.integers(0, 256, (96, 120, 3), dtype=np.uint8)
        picture = np.kron(picture[::8, ::8], np.ones((8, 8, 1), np.uint8))
        points = np.array(ARCFACE_POINTS, np.float32) * 0.7 + 15 + rng.normal(0, 2, (5, 2)).astype(np.float32)
        expected = face_align.norm_crop(picture, points, 112).astype(np.float32)
        frame = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        crop = align_faces(frame, torch.from_numpy(points)[None])[0].permute(1, 2, 0).numpy()
        assert np.abs(crop - expected).mean() < 1.0  # of 255: cv2 rounds coordinates to 1/32 px

    def test_similarity_equals_insightface(self) -> None:
        points = np.random.default_rng(1).normal(60, 20, (5, 2)).astype(np.float32)
        expected = face_align.estimate_norm(points, 448)
        matrix = estimate_similarity(torch.from_numpy(points)[None], torch.tensor(ARCFACE_POINTS) * 4)
        # Where a mirrored fit would be better insightface still turns without mirroring, as we do.
        assert np.allclose(matrix[0].numpy(), expected, atol=1e-2)

    def test_label_maps_stay_labels(self, generator: torch.Generator) -> None:
        labels = torch.randint(0, 19, (2, 1, 64, 64), generator=generator).float()
        points = torch.tensor(ARCFACE_POINTS).expand(2, -1, -1) * 0.5
        assert align_faces(labels, points, mode="nearest").frac().abs().max() == 0


class TestAnchors:
    def test_insightface_decodes_a_perfect_head(self) -> None:
        """Targets written into the SCRFD layout come back as the boxes and key points they stand for."""
        boxes = torch.tensor([[20.0, 30.0, 80.0, 100.0], [100.0, 20.0, 118.0, 44.0]])
        landmarks = torch.rand(2, 5, 2) * 40 + 40
        anchors = make_anchors(128, 160)
        faces, targets = assign_faces(anchors, boxes[None], torch.full((1, 2), FACE))
        distances = torch.cat(
            [anchors.centers - boxes[faces[0], :2], boxes[faces[0], 2:] - anchors.centers], -1
        )
        offsets = (landmarks[faces[0]] - anchors.centers[:, None]).flatten(1)
        parts = [
            targets[0, :, None],
            distances / anchors.strides[:, None],
            offsets / anchors.strides[:, None],
        ]
        session = PerfectSession([part[anchors.strides == s].numpy() for part in parts for s in STRIDES])
        detector = SCRFD(model_file=None, session=session)
        found, points = detector.detect(np.zeros((128, 160, 3), np.uint8), input_size=(160, 128))
        order = np.argsort(found[:, 0])
        assert np.allclose(found[order, :4], boxes.numpy(), atol=1e-3)
        assert np.allclose(points[order], landmarks.numpy(), atol=1e-3)

    def test_decoding_inverts(self) -> None:
        anchors = make_anchors(64, 96)
        zero = torch.zeros(len(anchors.centers), 10)
        assert torch.equal(decode_landmarks(zero, anchors)[:, 0], anchors.centers)
        boxes = decode_boxes(torch.ones(len(anchors.centers), 4), anchors)
        assert torch.equal(boxes[:, 2] - boxes[:, 0], 2 * anchors.strides)

    @pytest.mark.parametrize("side", [10, 25, 60, 120, 250, 500])
    def test_every_face_gets_an_anchor(self, side: int) -> None:
        corner = torch.tensor([57.0, 43.0])
        boxes = torch.cat([corner, corner + torch.tensor([side, side * 1.2])])[None, None]
        _, targets = assign_faces(make_anchors(640, 640), boxes, torch.full((1, 1), FACE))
        assert 1 <= (targets == 1).sum() <= 60

    def test_states(self) -> None:
        boxes = torch.tensor([[[20.0, 20.0, 80.0, 100.0]]]).expand(3, -1, -1)
        states = torch.tensor([[FACE], [IGNORED], [NOTHING]])
        _, targets = assign_faces(make_anchors(128, 128), boxes, states)
        assert (targets[0] == 1).any() and (targets[0] >= 0).all()
        assert (targets[1] == -1).any() and not (targets[1] == 1).any()
        assert (targets[2] == 0).all()


class PerfectSession:
    """An inference session that answers with given outputs."""

    def __init__(self, outputs: list[np.ndarray]) -> None:
        self.outputs = outputs

    def get_inputs(self) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(name="input.1", shape=[1, 3, "height", "width"])]

    def get_outputs(self) -> list[types.SimpleNamespace]:
        return [
            types.SimpleNamespace(name=str(i), shape=output.shape) for i, output in enumerate(self.outputs)
        ]

    def run(self, names: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.outputs


class TestPictures:
    def test_degradation_stays_in_range(self, generator: torch.Generator) -> None:
        frames = torch.rand(4, 3, 100, 92, generator=generator)
        degraded = Degradation()(frames, generator)
        assert degraded.shape == frames.shape and 0 <= degraded.min() and degraded.max() <= 1
        assert not torch.equal(degraded, frames)

    def test_block_transform_is_orthonormal(self) -> None:
        basis = cosine_basis().flatten(1)
        assert torch.allclose(basis @ basis.T, torch.eye(64), atol=1e-5)

    def test_canvas_moves_faces_with_pictures(self, generator: torch.Generator) -> None:
        """A white square where the face is stays where the box says."""
        pictures = make_pictures(8, generator)
        pictures.frames.zero_()
        pictures.frames[:, :, 30:95, 40:90] = 255
        batch = compose_canvases(pictures, pictures, 160, generator)
        seen = 0
        for canvas, boxes, states in zip(batch["pictures"], batch["boxes"], batch["states"], strict=True):
            for box in boxes[states == FACE]:
                x, y = ((box[:2] + box[2:]) / 2).long().tolist()
                assert canvas[:, y, x].min() > 0.9
                seen += 1
        assert seen >= 8

    def test_canvas_hides_covered_faces(self, generator: torch.Generator) -> None:
        batch = compose_canvases(make_pictures(32, generator), make_pictures(32, generator), 128, generator)
        behind = batch["states"][:, MAX_PEOPLE]
        assert {FACE, NOTHING} <= set(behind.tolist())


class TestTraining:
    def test_detector_learns(self, generator: torch.Generator) -> None:
        pictures = make_pictures(4, generator)
        batch = compose_canvases(pictures, pictures, 96, generator)
        losses = list(train_steps(Detector(warmup_steps=1, decay_steps=1), batch, 8))
        assert losses[-1] < losses[0]

    def test_detector_without_faces(self, generator: torch.Generator) -> None:
        pictures = make_pictures(2, generator)
        batch = compose_canvases(pictures, pictures, 64, generator)
        batch["states"] = torch.zeros_like(batch["states"])
        assert all(np.isfinite(loss) for loss in train_steps(Detector(), batch, 2))

    def test_recognizer_learns(self, generator: torch.Generator) -> None:
        pictures = make_pictures(8, generator)
        crops = align_faces(pictures.frames.float() / 255, pictures.landmarks[:, 0])
        batch = {"crops": crops, "identities": pictures.identities[:, 0]}
        losses = list(train_steps(Recognizer(num_identities=4, warmup_steps=1, margin_steps=1000), batch, 6))
        assert losses[-1] < losses[0]

    def test_margin_makes_it_harder(self) -> None:
        head = ArcFaceHead(8, 5, scale=16.0)
        embeddings, identities = torch.randn(4, 8), torch.arange(4)
        own = [head(embeddings, identities, margin)[range(4), range(4)] for margin in (0.0, 0.3)]
        assert (own[1] < own[0]).all()

    @pytest.mark.parametrize("parser_type", [FaceParser, ClothesParser])
    def test_parser_learns(self, parser_type: type[ParserModule], generator: torch.Generator) -> None:
        pixels = torch.rand(2, 3, 64, 64, generator=generator)
        label = parser_type.label_map.occurring[-1]
        batch = {"pixel_values": pixels, "labels": (pixels[:, 0] > 0.5).long() * label}
        losses = list(train_steps(parser_type(warmup_steps=1, decay_steps=1), batch, 5))
        assert losses[-1] < losses[0]

    def test_clip_learns(self, generator: torch.Generator) -> None:
        words = ["a beach", "the snow", "a library", "some park"]
        tokens = train_tokenizer(words, 600)(words, padding=True, return_tensors="pt")
        pictures = torch.rand(4, 3, 64, 64, generator=generator)
        batch = {**dict.fromkeys(PICTURES, pictures), **tokens}
        losses = list(train_steps(Clip(warmup_steps=1, decay_steps=1), batch, 5))
        assert losses[-1] < losses[0]

    def test_iou_of_a_perfect_and_a_wrong_map(self) -> None:
        labels = torch.tensor([[0, 1, 13, 13]])
        assert FACE_MAP.iou(FACE_MAP.confusion(labels, labels))["hair"] == 1.0
        assert FACE_MAP.iou(FACE_MAP.confusion(torch.tensor([[0, 1, 1, 13]]), labels))["hair"] == 0.5


class TestDetectionData:
    def test_splits_share_no_picture(
        self, monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
    ) -> None:
        """Training pictures are black here, those of the validation white."""

        def load(folder: Path, split: str, *_: object) -> Pictures:
            pictures = make_pictures(4, generator)
            return replace(pictures, frames=torch.full_like(pictures.frames, 255 * (split == "validation")))

        shown = []
        for name in ("load_pictures", "load_album"):
            monkeypatch.setattr(perception_data, name, load)
        monkeypatch.setattr(
            perception_data,
            "compose_canvases",
            lambda *pictures, **_: shown.append(pictures[:2]) or {"pictures": torch.zeros(1, 3, 8, 8)},
        )
        data = DetectionData(batch_size=2)
        data.setup("fit")
        for pictures, color in ((data.train_pictures, 0), (data.validation_pictures, 255)):
            shown.clear()
            for _ in range(20):
                data.make_batch(pictures, generator)
            assert all((part.frames == color).all() for pair in shown for part in pair)


class TestClothesData:
    def test_the_renderers_labels_keep_their_meaning(self) -> None:
        names = [CLOTHES_MAP.names[label] for label in relabel(torch.tensor([0, HAT, NECK, CLOTH]))]
        assert names == ["Background", "Hat", "Face", "Upper-clothes"]
        every = torch.tensor(FACE_MAP.occurring)
        assert set(relabel(every.byte()).tolist()) == set(CLOTHES_MAP.occurring)

    def test_labels_move_with_the_pixels(self, generator: torch.Generator) -> None:
        labels = torch.zeros(8, 64, 64, dtype=torch.long)
        labels[:, 20:44, 10:40] = 4
        pixels = (labels == 4).float()[:, None].expand(-1, 3, -1, -1)
        framed, moved = frame_anew(pixels, labels, generator)
        assert ((framed[:, 0] > 0.5) == (moved == 4)).float().mean() > 0.98
        assert not torch.equal(moved, labels)

    def test_every_content_is_drawn_in_its_share(self, generator: torch.Generator) -> None:
        pictures = make_pictures(400, generator)
        pictures.present[:] = False
        pictures.present[:300, 0] = True
        pictures.present[100:110, 1] = True
        pictures.scenes[350:] = WARDROBE_SEED
        drawn = ClothesData().draw(pictures, 4000, generator)
        shown = CONTENT_SHARES["one person"], CONTENT_SHARES["two people"], CONTENT_SHARES["garment"]
        found = drawn.present.sum(1)
        total = sum(CONTENT_SHARES.values()) - CONTENT_SHARES["three people"]
        counts = (found == 1).sum(), (found == 2).sum(), (drawn.scenes == WARDROBE_SEED).sum()
        for share, count in zip(shown, counts, strict=True):
            assert abs(count / 4000 - share / total) < 0.03


class TestCompanions:
    """Garments and places beside the people who wear them and are there."""

    def test_pairs_are_of_one_scene(self, generator: torch.Generator) -> None:
        first, count = 30, 12
        garments = ["t-shirt", "hoodie"] * (count // 2)
        scenes = sample_scenes(5, count, num_frames=2, garments=garments)
        pictures = take_pictures(first, scenes, torch.arange(count)[:, None])
        companions = take_companions(first, scenes)
        data = CaptionData(companions=8)
        data.companion_degradation = Degradation(0, 0, 0, 0, 1, 0, 0)
        batch = data.make_garments(pictures, companions, generator)
        batch |= data.make_places(pictures, companions, generator)
        for own, others in (("worn", "garments"), ("seen", "places")):
            assert batch[own].shape == batch[others].shape == (8, 3, 64, 64)
            nearest = torch.cdist(colors(batch[own]), colors(batch[others])).argmin(1)
            # Some look alike, but by chance one in eight would be right.
            assert (nearest == torch.arange(8)).sum() >= 6, own

    def test_half_of_those_drawn_are_of_one_kind(self, generator: torch.Generator) -> None:
        kinds = torch.arange(120) % 12
        drawn = draw_alike(kinds, 16, generator)
        assert len(drawn.unique()) == 16 and kinds[drawn].bincount().max() == 8

    def test_cut_out_fills_the_square_with_what_the_mask_shows(self, generator: torch.Generator) -> None:
        frames = torch.ones(2, 3, 96, 128)
        masks = torch.zeros(2, 96, 128, dtype=torch.bool)
        masks[0, 10:50, 60:120] = True
        masks[1, 20:80, 5:25] = True
        wide, high = cut_out(frames, masks, 64) > 0.5
        assert wide.any(0).any(0).float().mean() > 0.9 and 0.6 < wide.any(0).any(1).float().mean() < 0.75
        assert high.any(0).any(1).float().mean() > 0.9 and 0.3 < high.any(0).any(0).float().mean() < 0.45
        rough = roughen(masks, generator)
        assert (rough & masks).sum() > 0.8 * masks.sum() and not torch.equal(rough, masks)
        assert not rough[0, :, :50].any()

    def test_filling_in_keeps_what_is_known_and_guesses_the_rest_from_it(self) -> None:
        frames = torch.full((2, 3, 48, 64), 0.25)
        hidden = torch.zeros(2, 48, 64, dtype=torch.bool)
        hidden[0, 10:40, 20:50] = True
        marked = torch.where(hidden[:, None], 1.0, frames)
        torch.testing.assert_close(fill_in(marked, hidden), frames)


def colors(pictures: Tensor) -> Tensor:
    """Mean colour of what is not black in pictures (B, 3, H, W), (B, 3)."""
    shown = (pictures.amax(1, keepdim=True) > 0.02).float()
    return (pictures * shown).sum((2, 3)) / shown.sum((2, 3))
