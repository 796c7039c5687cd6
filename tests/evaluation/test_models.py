"""The judges' models: the published layouts, the published loss, what the embedded ones tell apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from toys import clip_of, portrait
from transformers import CLIPConfig

from concat_id.errors import WeightsUnavailable
from concat_id.evaluation.judges import Judges
from concat_id.evaluation.reader import ClipReader
from concat_id.scoring import video_clip
from concat_id.scoring.curricularface import CurricularEmbedder, IrNet, load_ir_101
from concat_id.scoring.video_clip import VideoClip, convert_viclip, fit, load_viclip, middle_frames
from train.export.evaluation import export_reader
from train.perception.recognizer import ArcFaceHead, CurricularFaceHead
from train.scoring.clip_cache import CLIP_SIZE, TOPICS
from train.scoring.reader import ClipReader as ReaderNetwork

TOWER = {"hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOY_VICLIP = {
    "projection_dim": 8,
    "num_frames": 8,
    "text_config": TOWER | {"vocab_size": 50, "max_position_embeddings": 6, "eos_token_id": 49},
    "vision_config": TOWER | {"image_size": 16, "patch_size": 8},
}


class TestCurricularFace:
    def test_easy_negatives_are_left_alone_and_hard_ones_modulated(self) -> None:
        """Equation 5 by hand: own cosine .6, negatives at .9 (hard) and .1 (easy)."""
        head = CurricularFaceHead(2, 3, scale=1.0).eval()
        cosines = torch.tensor([0.6, 0.9, 0.1])
        head.centers.data = torch.stack([cosines, (1 - cosines**2).sqrt()], 1)
        head.t.fill_(0.3)
        logits = head(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), 0.5)[0]
        own = np.cos(np.arccos(0.6) + 0.5)
        assert logits.tolist() == pytest.approx([own, 0.9 * (0.3 + 0.9), 0.1], abs=1e-5)

    def test_the_curriculum_follows_the_positives(self) -> None:
        head = CurricularFaceHead(4, 4, scale=16.0)
        embeddings, identities = head.centers.detach().clone(), torch.arange(4)
        for _ in range(2):
            head(embeddings, identities, 0.3)
        assert head.t.item() == pytest.approx(1 - 0.99**2, abs=1e-4)  # equation 7 with cosines of 1
        head.eval()(embeddings, identities, 0.3)
        assert head.t.item() == pytest.approx(1 - 0.99**2, abs=1e-4)

    def test_without_hard_negatives_it_is_arcface(self) -> None:
        curricular, arcface = CurricularFaceHead(3, 3, scale=16.0), ArcFaceHead(3, 3, scale=16.0)
        curricular.centers.data = arcface.centers.data = torch.eye(3)
        batch = (torch.eye(3) + 0.1, torch.arange(3), 0.3)
        assert torch.allclose(curricular(*batch), arcface(*batch))

    def test_the_published_network_has_its_published_names_and_sizes(self) -> None:
        with torch.device("meta"):
            weights = IrNet().state_dict()
        shapes = {name: tuple(value.shape) for name, value in weights.items()}
        assert sum(name.endswith("res_layer.1.weight") for name in shapes) == 3 + 13 + 30 + 3
        assert shapes["body.3.shortcut_layer.0.weight"] == (128, 64, 1, 1)
        assert shapes["body.48.res_layer.4.weight"] == (512, 512, 3, 3)
        assert shapes["output_layer.3.weight"] == (512, 512 * 7 * 7)
        assert "output_layer.4.weight" not in shapes and "body.0.shortcut_layer.0.weight" not in shapes

    def test_it_runs_at_toy_size_whatever_the_batch(self) -> None:
        torch.manual_seed(0)
        network = IrNet(((4, 1), (8, 1), (8, 2), (8, 1))).eval()
        faces = torch.rand(3, 3, 112, 112) * 2 - 1
        with torch.inference_mode():
            assert torch.allclose(network(faces)[1:2], network(faces[1:2]), atol=1e-5)

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        torch.save({"weight": torch.zeros(1)}, tmp_path / "other.bin")
        with pytest.raises(WeightsUnavailable, match="does not hold IR-101's weights"):
            load_ir_101(tmp_path / "other.bin")

    def test_both_crop_sizes_show_the_same_face(self) -> None:
        """The published network's crops are aligned twice as large and shrunk."""
        landmarks = np.array([[100, 110], [150, 110], [125, 140], [105, 165], [145, 165]], np.float32)
        seen = []
        for crop_px in (112, 224):
            embedder = CurricularEmbedder(
                lambda pixels: seen.append(pixels) or np.ones((1, 4)), crop_px=crop_px
            )
            embedding = embedder.embed(portrait(3), [landmarks])
            assert np.linalg.norm(embedding) == pytest.approx(1)
        assert seen[0].shape == seen[1].shape == (1, 3, 112, 112)
        assert np.abs(seen[0] - seen[1]).mean() < 0.05 and seen[0].min() >= -1 and seen[0].max() <= 1

    def test_the_embedded_one_tells_people_apart(self, judges: Judges) -> None:
        def embed(seed: int, identity: int) -> np.ndarray:
            picture = portrait(seed, identity_seed=identity)
            return judges.curricular.embed(picture, [judges.scorer.finder.find(picture)[0].landmarks])[0]

        people = range(4)
        first = np.stack([embed(40 + person, person) for person in people])
        second = np.stack([embed(60 + person, person) for person in people])
        cosines = first @ second.T
        assert cosines.diagonal().mean() > cosines[~np.eye(4, dtype=bool)].mean() + 0.2


class TestVideoClip:
    @pytest.fixture
    def model(self) -> VideoClip:
        torch.manual_seed(0)
        return VideoClip(CLIPConfig(**TOY_VICLIP)).eval()

    @torch.inference_mode()
    def test_the_order_of_frames_counts_only_by_their_place_in_time(self, model: VideoClip) -> None:
        frames = torch.rand(1, 8, 3, 16, 16)
        assert torch.allclose(model.embed_videos(frames), model.embed_videos(frames.flip(1)), atol=1e-5)
        model.temporal_embedding.normal_()
        assert not torch.allclose(model.embed_videos(frames), model.embed_videos(frames.flip(1)), atol=1e-3)

    @torch.inference_mode()
    def test_every_frame_counts(self, model: VideoClip) -> None:
        frames = torch.rand(1, 8, 3, 16, 16)
        changed = frames.clone()
        changed[:, 5] = 0
        assert not torch.allclose(model.embed_videos(frames), model.embed_videos(changed), atol=1e-4)
        assert model.embed_videos(frames).norm() == pytest.approx(1, abs=1e-5)

    def test_saving_keeps_the_sense_of_time(self, model: VideoClip, tmp_path: Path) -> None:
        model.temporal_embedding.data.normal_()
        model.save_pretrained(tmp_path)
        again = VideoClip.from_pretrained(tmp_path)
        assert torch.equal(again.temporal_embedding, model.temporal_embedding)

    def test_a_published_checkpoint_computes_the_same(
        self, model: VideoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Round trip through ViCLIP's names: fused attention, transposed projections, a 3-D convolution."""
        model.temporal_embedding.data.normal_()
        monkeypatch.setattr(video_clip, "VICLIP_CONFIG", TOY_VICLIP)
        torch.save({"model": to_viclip_names(model)}, tmp_path / "viclip.pth")
        again = load_viclip(tmp_path / "viclip.pth").eval()
        frames = torch.rand(2, 8, 3, 16, 16)
        tokens = {"input_ids": torch.tensor([[48, 3, 49]]), "attention_mask": torch.ones(1, 3)}
        with torch.inference_mode():
            assert torch.allclose(again.embed_videos(frames), model.embed_videos(frames), atol=1e-5)
            assert torch.allclose(again.embed_texts(**tokens), model.embed_texts(**tokens), atol=1e-5)

    def test_unknown_weights_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError):
            convert_viclip({"vision_encoder.something": torch.zeros(1)})
        torch.save({"model": {"something": torch.zeros(1)}}, tmp_path / "other.pth")
        with pytest.raises(WeightsUnavailable, match="does not hold ViCLIP's weights"):
            load_viclip(tmp_path / "other.pth")

    def test_frames_are_the_middles_of_intervals(self) -> None:
        assert middle_frames(16) == [0, 2, 4, 6, 8, 10, 12, 14]
        assert middle_frames(80) == [4, 14, 24, 34, 44, 54, 64, 74]
        assert middle_frames(1) == [0] * 8
        assert max(middle_frames(3)) == 2

    def test_wide_videos_are_cut_to_their_middle(self) -> None:
        frames = torch.zeros(1, 3, 48, 96)
        frames[..., 24:72] = 1
        assert fit(frames, 16).shape == (1, 3, 16, 16)
        assert fit(frames, 16)[..., 1:-1].min() > 0.9


class TestReader:
    def test_the_exported_file_reads_as_the_network_does(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        network = ReaderNetwork().eval()
        export_reader(network, tmp_path / "reader.onnx", accuracy={"place": 0.5})
        reader = ClipReader(tmp_path / "reader.onnx")
        frames = clip_of(3, size=CLIP_SIZE, num_frames=8)
        clip = torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 255
        with torch.inference_mode():
            logits = network(clip)
        expected = {topic: names[logits[topic].argmax().item()] for topic, names in TOPICS.items()}
        assert reader.read(frames) == expected
        assert reader.accuracy == {"place": 0.5}

    def test_the_embedded_one_knows_places(self, judges: Judges) -> None:
        from concat_id.people import render, sample_scenes

        scenes = sample_scenes(5, 6, split="test", num_frames=8)
        videos = (render(scenes, 96, 96).frames * 255).byte().permute(0, 1, 3, 4, 2).numpy()
        read = [judges.reader.read(video)["place"] for video in videos]
        assert sum(seen == true for seen, true in zip(read, scenes.place_names, strict=True)) >= 3


def to_viclip_names(model: VideoClip) -> dict[str, torch.Tensor]:
    """A model's weights as ViCLIP's authors would have saved them."""
    vision, text = model.vision_model, model.text_model
    weights = {
        "temp": 1 / model.logit_scale.exp(),
        "vision_encoder.conv1.weight": vision.embeddings.patch_embedding.weight[:, :, None],
        "vision_encoder.class_embedding": vision.embeddings.class_embedding,
        "vision_encoder.positional_embedding": vision.embeddings.position_embedding.weight,
        "vision_encoder.temporal_positional_embedding": model.temporal_embedding[None],
        "vision_encoder.proj": model.visual_projection.weight.T,
        "text_encoder.token_embedding.weight": text.embeddings.token_embedding.weight,
        "text_encoder.positional_embedding": text.embeddings.position_embedding.weight,
        "text_encoder.text_projection": model.text_projection.weight.T,
    }
    norms = {
        "vision_encoder.ln_pre": vision.pre_layrnorm,
        "vision_encoder.ln_post": vision.post_layernorm,
        "text_encoder.ln_final": text.final_layer_norm,
    }
    for tower, blocks in (
        ("vision_encoder", vision.encoder.layers),
        ("text_encoder", text.encoder.layers),
    ):
        for index, block in enumerate(blocks):
            prefix = f"{tower}.transformer.resblocks.{index}"
            attention = block.self_attn
            projections = (attention.q_proj, attention.k_proj, attention.v_proj)
            weights[f"{prefix}.attn.in_proj_weight"] = torch.cat([part.weight for part in projections])
            weights[f"{prefix}.attn.in_proj_bias"] = torch.cat([part.bias for part in projections])
            norms |= {
                f"{prefix}.attn.out_proj": attention.out_proj,
                f"{prefix}.ln_1": block.layer_norm1,
                f"{prefix}.ln_2": block.layer_norm2,
                f"{prefix}.mlp.c_fc": block.mlp.fc1,
                f"{prefix}.mlp.c_proj": block.mlp.fc2,
            }
    for name, module in norms.items():
        weights |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    return {name: value.detach().clone() for name, value in weights.items()}
