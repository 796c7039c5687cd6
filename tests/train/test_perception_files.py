"""The files of the models around the generator: what is exported loads elsewhere, what is shipped works."""

from __future__ import annotations

import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from insightface.app import FaceAnalysis
from PIL import Image
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from concat_id.people import SEED_RANGES, render, sample_scenes
from concat_id.references.faces import FaceFinder
from concat_id.references.parsing import Parser
from train.export.perception import (
    ScrfdOutputs,
    export_clip,
    export_detector,
    export_parser,
    export_recognizer,
)
from train.perception.anchors import box_iou
from train.perception.clothes_parser import ClothesParser
from train.perception.detector import FaceDetector
from train.perception.face_parser import FaceParser
from train.perception.parser import Parser as ParserModule
from train.perception.recognizer import FaceRecognizer
from train.pictures.alignment import align_faces
from train.scoring.clip import Clip, train_tokenizer

PEOPLE = torch.arange(6)[:, None] + SEED_RANGES["test"][0] + 500


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> types.SimpleNamespace:
    """An untrained face pack's folder and the networks inside; the detector sees faces everywhere."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("face_pack")
    detector, recognizer = FaceDetector().eval(), FaceRecognizer().eval()
    nn.init.constant_(detector.score.bias, 4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        export_detector(detector, folder / "det.onnx")
        export_recognizer(recognizer, folder / "rec.onnx")
    analysis = FaceAnalysis(name=str(folder), providers=["CPUExecutionProvider"])
    return types.SimpleNamespace(analysis=analysis, detector=detector, recognizer=recognizer)


class TestExport:
    @torch.inference_mode()
    def test_detector_equals_torch(self, pack: types.SimpleNamespace) -> None:
        for height, width in ((128, 128), (96, 160)):
            pixels = torch.randn(1, 3, height, width)
            outputs = pack.analysis.det_model.session.run(None, {"input.1": pixels.numpy()})
            logits, boxes, points = pack.detector(pixels)
            for i, whole in enumerate(
                ((logits - ScrfdOutputs(pack.detector).shift).sigmoid(), boxes, points)
            ):
                assert np.allclose(np.concatenate(outputs[3 * i : 3 * i + 3]), whole[0].numpy(), atol=1e-3)

    def test_pack_loads_and_runs(self, pack: types.SimpleNamespace) -> None:
        assert set(pack.analysis.models) == {"detection", "recognition"}
        pack.analysis.prepare(ctx_id=-1, det_size=(128, 128))
        noise = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)
        faces = pack.analysis.get(noise, max_num=2)
        assert faces and faces[0].kps.shape == (5, 2) and faces[0].normed_embedding.shape == (256,)

    @torch.inference_mode()
    def test_recognizer_equals_torch_for_any_number_of_faces(self, pack: types.SimpleNamespace) -> None:
        pixels = torch.rand(3, 3, 112, 112) * 2 - 1
        outputs = pack.analysis.models["recognition"].forward(pixels.numpy() * 127.5 + 127.5)
        assert np.allclose(outputs, pack.recognizer(pixels).numpy(), atol=1e-3)

    def test_weights_are_kept_in_half_and_computed_with_in_single(self, pack: types.SimpleNamespace) -> None:
        path = Path(pack.analysis.models["recognition"].model_file)
        parameters = sum(parameter.numel() for parameter in pack.recognizer.parameters())
        assert path.stat().st_size < 2.1 * parameters + 50_000
        outputs = pack.analysis.models["recognition"].session.get_outputs()
        assert [output.type for output in outputs] == ["tensor(float)"]

    @pytest.mark.parametrize("parser_type", [FaceParser, ClothesParser])
    def test_parser_folder(self, parser_type: type[ParserModule], tmp_path: Path) -> None:
        export_parser(parser_type(), tmp_path)
        labels = Parser(tmp_path).parse(Image.new("RGB", (90, 80), (200, 150, 120)))
        assert labels.shape == (80, 90) and labels.max() < len(parser_type.label_map.names)

    def test_clip_folder_takes_any_text(self, tmp_path: Path) -> None:
        train_tokenizer(["a person on a beach"], 600).save_pretrained(tmp_path / "tokenizer")
        export_clip(Clip(), tmp_path / "clip", tokenizer=tmp_path / "tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "clip")
        texts = ["a person", "Straße, 海滩 🏖️", ""]
        tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        assert tokens["input_ids"][:, 0].eq(0).all() and tokens["input_ids"].eq(1).any(1).all()
        features = AutoModel.from_pretrained(tmp_path / "clip").get_text_features(**tokens).pooler_output
        assert features.shape == (3, 128) and features.isfinite().all()
        assert tokenizer.decode(tokens["input_ids"][1], skip_special_tokens=True).startswith("straße")


class TestEmbeddedModels:
    """What lies in `assets/embedded`, on people it has never seen."""

    def test_face_pack_finds_people(self) -> None:
        scenes = sample_scenes(5, 6, split="test", num_frames=1)
        rendering = render(scenes, 128, 128)
        finder = FaceFinder(Path("assets/embedded/face_pack"))
        for frame, boxes in zip(rendering.frames[:, 0], rendering.face_boxes[:, 0], strict=True):
            faces = finder.find((frame.permute(1, 2, 0) * 255).round().byte().numpy())
            assert len(faces) == 1
            assert box_iou(torch.from_numpy(faces[0].box), boxes[0]) > 0.5

    def test_face_pack_knows_people_again(self) -> None:
        first, second = (
            render(sample_scenes(seed, 6, split="test", num_frames=1, identity_seeds=PEOPLE), 128, 128)
            for seed in (6, 7)
        )
        finder = FaceFinder(Path("assets/embedded/face_pack"))

        def embed(frame: Tensor) -> np.ndarray:
            face = finder.find_largest((frame.permute(1, 2, 0) * 255).byte().numpy())
            assert face is not None
            return face.embedding

        embeddings = [[embed(frame) for frame in part.frames[:, 0]] for part in (first, second)]
        similarity = np.array(embeddings[0]) @ np.array(embeddings[1]).T
        assert (similarity.argmax(1) == np.arange(6)).sum() >= 5

    def test_parser_labels_a_bare_head(self) -> None:
        rendering = render(sample_scenes(8, 4, split="test", num_frames=1, headwear="none"), 256, 256)
        points = rendering.landmarks[:, 0, 0]
        crops = align_faces(rendering.frames[:, 0], points, 448)
        truth = align_faces(rendering.labels[:, :1].float(), points, 448, mode="nearest")[:, 0].byte()
        parser = Parser(Path("assets/embedded/face_parser"))
        for crop, labels in zip(crops, truth, strict=True):
            picture = Image.fromarray((crop.permute(1, 2, 0) * 255).byte().numpy())
            assert (parser.parse(picture) == labels.numpy()).mean() > 0.9
