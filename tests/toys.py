"""Small stand-ins for what is big: a pipeline with random weights, and pictures of synthetic people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    CogVideoXDPMScheduler,
    ConsisIDPipeline,
    ConsisIDTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
)
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from concat_id import (
    ConcatIDCogVideoXPipeline,
    ConcatIDCogVideoXTransformer3DModel,
    ConcatIDWanPipeline,
    ConcatIDWanTransformer3DModel,
)
from concat_id.generation import Preview, Result, generate
from concat_id.job import Job
from concat_id.loading.consisid import assemble
from concat_id.loading.presets import PRESETS, Preset
from concat_id.models.checkpoint_cogvideox import SCHEDULE
from concat_id.models.eva_clip import EvaClipVisionModel
from concat_id.output.video import read_metadata, read_video
from concat_id.people import SEED_RANGES, render, sample_scenes

TEXT_DIM = 64  # what 4-bit kernels of processors take, at the least
LATENT_CHANNELS = 4


def make_transformer(*, num_layers: int = 3, reference_adaln: bool = True) -> ConcatIDWanTransformer3DModel:
    """A small transformer with random weights, always the same."""
    torch.manual_seed(0)
    return ConcatIDWanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=16,
        ffn_dim=32,
        num_layers=num_layers,
        reference_adaln=reference_adaln,
    ).eval()


def write_toy_pipeline(folder: Path) -> Path:
    """Save a complete pipeline of the embedded model's classes with small random weights."""
    transformer = make_transformer()
    vae = AutoencoderKLWan(
        base_dim=4,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=8,
    )
    encoder = UMT5EncoderModel(
        UMT5Config(vocab_size=300, d_model=TEXT_DIM, d_kv=32, d_ff=64, num_layers=1, num_heads=2)
    )
    ConcatIDWanPipeline(
        tokenizer=byte_tokenizer(),
        text_encoder=encoder.eval(),
        transformer=transformer,
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0),
    ).save_pretrained(folder)
    return folder


def make_cogvideox_transformer(
    *, num_layers: int = 3, in_channels: int = LATENT_CHANNELS
) -> ConcatIDCogVideoXTransformer3DModel:
    """A small CogVideoX transformer with random weights, always the same."""
    torch.manual_seed(0)
    return ConcatIDCogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=in_channels,
        out_channels=in_channels,
        time_embed_dim=16,
        text_embed_dim=TEXT_DIM,
        num_layers=num_layers,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=32,
        use_rotary_positional_embeddings=True,
    ).eval()


def write_toy_cogvideox(folder: Path) -> Path:
    """Save a complete CogVideoX pipeline with small random weights."""
    transformer = make_cogvideox_transformer()
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(4, 4, 4, 4),
        latent_channels=LATENT_CHANNELS,
        layers_per_block=1,
        norm_num_groups=2,
        scaling_factor=0.7,
    )
    encoder = T5EncoderModel(
        T5Config(vocab_size=300, d_model=TEXT_DIM, d_kv=32, d_ff=64, num_layers=1, num_heads=2)
    )
    ConcatIDCogVideoXPipeline(
        tokenizer=byte_tokenizer(),
        text_encoder=encoder.eval(),
        transformer=transformer,
        vae=vae.eval(),
        scheduler=CogVideoXDPMScheduler(**SCHEDULE),
    ).save_pretrained(folder)
    return folder


FACE_DIM = 256  # of the embedded recogniser
# Of a face encoder with as few blocks as have five hidden states.
TOY_EVA_CLIP = {
    **{"image_size": 28, "width": 16, "num_layers": 21, "num_heads": 2, "hidden_width": 10},
    "embed_dim": 24,
}


def write_toy_consisid(folder: Path) -> Path:
    """Save ConsisID with small random weights: `released` as its authors have it, and `ours`."""
    torch.manual_seed(0)
    base = ConcatIDCogVideoXPipeline.from_pretrained(write_toy_cogvideox(folder / "cogvideox"))
    transformer = ConsisIDTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=2 * LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        time_embed_dim=16,
        text_embed_dim=TEXT_DIM,
        num_layers=4,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=32,
        use_rotary_positional_embeddings=True,
        is_train_face=True,
        cross_attn_dim_head=8,
        cross_attn_num_heads=2,
        LFE_id_dim=FACE_DIM + TOY_EVA_CLIP["embed_dim"],
        LFE_vit_dim=TOY_EVA_CLIP["width"],
        LFE_depth=5,
        LFE_dim_head=8,
        LFE_num_heads=2,
        LFE_num_querie=4,
        LFE_output_dim=2 * 2 * 16 // 3,
    )
    parts = {name: getattr(base, name) for name in ("tokenizer", "text_encoder", "vae", "scheduler")}
    ConsisIDPipeline(transformer=transformer.eval(), **parts).save_pretrained(folder / "released")
    encoder = EvaClipVisionModel(**TOY_EVA_CLIP)
    weights = {f"visual.{name}": value for name, value in encoder.state_dict().items()}
    torch.save(weights | {"text.other": torch.zeros(1)}, folder / "eva_clip.pt")
    assemble(folder / "released", folder / "eva_clip.pt", folder / "ours", **TOY_EVA_CLIP)
    return folder


def write_toy_adapter(path: Path) -> Path:
    """Save a LoRA that changes the toy pipeline's transformer."""
    transformer = make_transformer()
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = get_peft_model_state_dict(transformer)
    ConcatIDWanPipeline.save_lora_weights(path.parent, transformer_lora_layers=layers, weight_name=path.name)
    return path


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and an end."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=258, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", model_max_length=64
    )


def toy_preset(folder: Path) -> Preset:
    """The embedded preset on a toy pipeline: small, short, and with the real models that look at faces."""
    return replace(
        PRESETS["embedded"],
        base=folder,
        height=64,
        width=64,
        num_frames=9,
        num_inference_steps=4,
        reference_guidance_scale=1.0,
        skip_guidance_layers=(1,),
        draft=None,
        title="Toy",
    )


def toy_cogvideox_preset(folder: Path, name: str = "cogvideox-5b-two") -> Preset:
    """A released preset on a toy pipeline, by default of two people, with the embedded models for faces."""
    embedded = PRESETS["embedded"]
    names = ("face_pack", "score_pack", "face_parser", "clothes_parser", "clip", "curricular", "video_clip")
    return replace(
        PRESETS[name],
        base=folder,
        checkpoint=None,
        height=64,
        width=64,
        num_frames=17,
        num_inference_steps=3,
        max_sequence_length=32,
        face_frame_size_px=embedded.face_frame_size_px,
        title="Toy on CogVideoX",
        **{name: getattr(embedded, name) for name in names},
    )


def run(job: Job, output: Path, **options: object) -> tuple[list[Preview], Result]:
    """All previews of a job, and its result."""
    *steps, result = generate(job, output, device="cpu", **options)
    assert isinstance(result, Result) and [step.index for step in steps] == list(range(steps[0].total))
    return [step for step in steps if isinstance(step, Preview)], result


def is_same_video(first: Path, second: Path) -> bool:
    """Whether two files hold the same frames and settings; a signature holds a random number besides."""
    frames = [read_video(path).frames for path in (first, second)]
    return np.array_equal(*frames) and read_metadata(first) == read_metadata(second)


def portrait(seed: int = 0, size: int = 256, *, identity_seed: int | None = None) -> Image.Image:
    """A close-up of a synthetic person; `identity_seed` shows one person in the way of another seed."""
    return _render_frames(seed, size, 1, "portrait", identity_seed)[0]


def clip_of(
    seed: int = 0, size: int = 128, num_frames: int = 5, *, identity_seed: int | None = None
) -> np.ndarray:
    """A clip of a synthetic person, (T, H, W, 3) uint8."""
    return np.stack(
        [np.asarray(frame) for frame in _render_frames(seed, size, num_frames, "video", identity_seed)]
    )


def two_people(seed: int = 0, size: int = 512) -> Image.Image:
    """Two synthetic people beside each other."""
    scenes = sample_scenes(seed, 1, split="test", num_people=2, num_frames=1)
    return to_picture(render(scenes, size, size).frames[0, 0])


def landscape(size: int = 256) -> Image.Image:
    """A place without people."""
    scenes = sample_scenes(0, 1, split="test", num_frames=1, places="beach")
    return to_picture(render(scenes.without_people(), size, size).frames[0, 0])


def _render_frames(
    seed: int, size: int, num_frames: int, camera: str, identity_seed: int | None
) -> list[Image.Image]:
    """The frames of one clip of one person."""
    identity = None
    if identity_seed is not None:
        identity = torch.tensor([[SEED_RANGES["test"][0] + identity_seed]])
    scenes = sample_scenes(
        seed, 1, split="test", num_frames=num_frames, camera=camera, identity_seeds=identity, headwear="none"
    )
    return [to_picture(frame) for frame in render(scenes, size, size).frames[0]]


def to_picture(frame: torch.Tensor) -> Image.Image:
    """A rendered frame (3, H, W) in [0, 1] as a picture."""
    return Image.fromarray((frame.permute(1, 2, 0) * 255).round().byte().cpu().numpy())


def garment(seed: int = 0, size: int = 256, *, garments: str | None = None) -> Image.Image:
    """A garment alone on light ground; `garments` names its kind."""
    scenes = sample_scenes(seed, 1, split="test", num_frames=1, garments=garments)
    return to_picture(render(scenes.garments_only(), size, size).frames[0, 0])


class Labels:
    """A parser that has already decided."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def parse(self, picture: Image.Image) -> np.ndarray:
        """The labels, (H, W) uint8, at the picture's size."""
        return np.asarray(Image.fromarray(self.labels).resize(picture.size, Image.Resampling.NEAREST))
