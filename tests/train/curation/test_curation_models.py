"""The real presets' parts at toy size, by the real classes: words to masks, masks to places, votes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import (
    BertTokenizerFast,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    Sam2Config,
    Sam2Model,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
    GroundingDinoImageProcessorPil,
)

from concat_id.errors import InputError
from train.curation.aesthetics import AestheticScorer, AestheticsPredictor
from train.curation.garment_finders import GARMENT_WORDS, GroundedSegmenter, lay_on_black
from train.curation.models import PRESETS, UnknownPreset, find_preset
from train.curation.place_fillers import COCO_THINGS, DiffusionFiller, SmoothFiller, choose_thing

SIDE = 64


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def grounded(tmp_path_factory: pytest.TempPathFactory) -> GroundedSegmenter:
    """Grounding DINO and SAM 2 that know nothing."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("grounded")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *GARMENT_WORDS.replace(".", "").split()]
    (folder / "vocab.txt").write_text("\n".join([*words, "person", "-", "t"]) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "dino")
    GroundingDinoImageProcessorPil(size={"shortest_edge": SIDE, "longest_edge": 128}).save_pretrained(
        folder / "dino"
    )
    dino = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2],
            "window_size": 4, "image_size": SIDE, "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16,
        },
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=5, disable_custom_kernels=True,
    )  # fmt: skip
    GroundingDinoForObjectDetection(dino).save_pretrained(folder / "dino")
    sam = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "image_size": [SIDE, SIDE], "blocks_per_stage": [1, 1, 2, 1],
                "embed_dim_per_stage": [8, 16, 32, 64], "num_attention_heads_per_stage": [1, 1, 2, 2],
                "window_size_per_stage": [8, 4, 4, 4], "global_attention_blocks": [3],
                "window_positional_embedding_background_size": [4, 4],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
            "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": SIDE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    Sam2Model(sam).save_pretrained(folder / "sam")
    return GroundedSegmenter(folder / "dino", folder / "sam")


def test_words_lead_to_boxes_and_boxes_to_a_mask(
    grounded: GroundedSegmenter, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = grounded.find_boxes(picture, GARMENT_WORDS)
    assert boxes.ndim == 2 and boxes.shape[1] == 4
    asked = []
    given = np.array([[4.0, 4.0, 40.0, 40.0], [30.0, 10.0, 70.0, 44.0]], np.float32)
    monkeypatch.setattr(grounded, "find_boxes", lambda _, words: (asked.append(words), given)[1])
    mask = grounded.find_people(picture)
    assert mask.shape == (48, 80) and mask.dtype == bool and asked == ["person."]
    monkeypatch.setattr(grounded, "find_boxes", lambda *_: given[:0])
    assert not grounded.find_people(picture).any() and grounded.cut_garment(picture) is None


def test_what_a_mask_shows_is_laid_on_black(picture: Image.Image) -> None:
    mask = np.zeros((48, 80), bool)
    mask[10:30, 20:60] = True
    mask[10:20, 20:30] = False
    cut = lay_on_black(picture, mask)
    assert cut.size == (42, 22)
    assert not np.asarray(cut)[1:11, 1:11].any() and np.asarray(cut)[12:21, 12:41].any()


def test_a_thing_is_chosen_by_chance_and_always_the_same() -> None:
    assert len(set(COCO_THINGS)) == 79 and "person" not in COCO_THINGS
    assert choose_thing("clip-1") == choose_thing("clip-1")
    assert len({choose_thing(f"clip-{number}") for number in range(200)}) > 50


def test_people_are_filled_in_without_a_model(picture: Image.Image) -> None:
    people = np.zeros((48, 80), bool)
    people[10:30, 20:60] = True
    filled = np.asarray(SmoothFiller().fill(picture, people, "clip"))
    before = np.asarray(picture)
    assert (filled[~people] == before[~people]).all() and (filled[people] != before[people]).any()


def write_toy_sdxl(folder: Path) -> Path:
    """SDXL's inpainting pipeline that knows nothing."""
    torch.manual_seed(0)
    tokens = ["<|startoftext|>", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz"]
    tokens += [f"{letter}</w>" for letter in "abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
    text = CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=32, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, projection_dim=32, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=32, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1), projection_class_embeddings_input_dim=80, cross_attention_dim=64,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, sample_size=64,
    )  # fmt: skip
    StableDiffusionXLInpaintPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(),
    ).save_pretrained(folder / "pipeline")
    return folder / "pipeline"


def test_people_are_filled_in_by_diffusion_and_what_is_around_them_stays(
    tmp_path: Path, picture: Image.Image
) -> None:
    filler = DiffusionFiller(write_toy_sdxl(tmp_path / "sdxl"), num_inference_steps=2)
    people = np.zeros((48, 80), bool)
    people[20:30, 30:50] = True
    filled = np.asarray(filler.fill(picture, people, "clip-1"))
    changed = (filled != np.asarray(picture)).any(2)
    assert changed[people].mean() > 0.9 and not changed[:15].any() and not changed[:, :25].any()
    assert (np.asarray(filler.fill(picture, people, "clip-1")) == filled).all()
    assert (np.asarray(filler.fill(picture, people, "clip-2")) != filled).any()


def test_a_picture_is_voted_on_by_a_predictor_from_a_folder(tmp_path: Path, picture: Image.Image) -> None:
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32,
        patch_size=16, projection_dim=8,
    )  # fmt: skip
    model = AestheticsPredictor(config)
    torch.nn.init.constant_(model.predictor.bias, 5.0)
    model.save_pretrained(tmp_path)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        tmp_path
    )
    scorer = AestheticScorer(tmp_path)
    vote = scorer.score(picture)
    assert vote == scorer.score(picture) != scorer.score(Image.new("RGB", (80, 48))) and 3 < vote < 7


def test_presets_hold_bands_in_order_and_names_that_tell_them_apart() -> None:
    for preset in PRESETS.values():
        bands = preset.bands
        assert bands["cross_video"].low < bands["cross_video_strict"].low < bands["trade_off"].low
        assert bands["trade_off"].low == bands["cross_video"].high
        assert bands["trade_off"].high > bands["cross_video_strict"].high
    names = [preset.names() for preset in PRESETS.values()]
    assert all(
        names[0][step] != names[1][step] for step in ("faces", "face_parser", "garments", "backgrounds")
    )
    assert issubclass(UnknownPreset, InputError)
    with pytest.raises(UnknownPreset, match="no preset 'best'"):
        find_preset("best")
