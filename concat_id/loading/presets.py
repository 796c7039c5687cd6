"""The models one can choose from: where their weights are, what they do, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from concat_id.loading.weights import Source

Task = Literal["single", "multi", "try-on", "background"]
Backbone = Literal["wan", "cogvideox", "consisid"]
Domain = Literal["drawn", "photographed"]

# By backbone: the pipeline's public name, and how many frames more make the next longer video.
PIPELINES: dict[Backbone, str] = {
    "wan": "ConcatIDWanPipeline",
    "cogvideox": "ConcatIDCogVideoXPipeline",
    "consisid": "StreamedConsisIDPipeline",
}
FRAME_STRIDES: dict[Backbone, int] = {"wan": 4, "cogvideox": 8, "consisid": 8}
# Of every autoencoder here, after the first frame, which has a latent frame of its own.
FRAMES_PER_LATENT = 4

EMBEDDED = Path(__file__).resolve().parents[2] / "assets" / "embedded"
DEFAULT_PRESET = "embedded"


@dataclass(frozen=True)
class Preset:
    """A model, what it can do, and the settings it was trained for."""

    title: str
    backbone: Backbone
    domain: Domain  # whom it knows: drawn people, by the words of their captions alone, or photographed ones
    tasks: tuple[Task, ...]
    max_references: int
    # Weights, see `concat_id.loading.weights`
    base: Source  # a diffusers folder: the whole pipeline, or what surrounds the converted checkpoint
    checkpoint: Source | None  # the authors' checkpoint to convert; None: the base is complete
    adapter: Source | None  # a LoRA's file, merged into the transformer
    face_pack: Source  # finds the faces of references
    score_pack: Source  # finds and embeds faces for scoring
    face_parser: Source
    clothes_parser: Source  # finds garments, and people to remove from places
    clip: Source
    # For finished videos; what is not on this machine is done without, and only `evaluate` fetches it
    curricular: Source  # CurSim's recogniser
    video_clip: Source  # ViCLIP
    face_frame_size_px: int  # into which video frames are fitted to find faces
    # Video
    num_frames: int  # see `frame_stride`
    fps: int
    height: int  # px
    width: int  # px
    side_multiple_px: int  # of height and width: the autoencoder's stride times the transformer's patch
    # Sampling
    num_inference_steps: int
    guidance_scale: float
    reference_guidance_scale: float  # 1: off
    skip_guidance_layers: tuple[int, ...]  # blocks that the negative pass leaves out, with the references
    shift: float | None  # of the noise schedule; None: as in the pipeline's folder
    negative_prompt: str
    speed: str  # key of `SPEEDS`
    max_sequence_length: int  # text tokens
    # A preview decodes the first of the latent frames, None: all; the first k make 4 k - 3 frames, exactly,
    # though of CogVideoX only the first 3.
    preview_latent_frames: int | None
    # For the user to know
    licence: str
    download_gb: float
    memory_gb: float
    draft: str | None = None  # the preset that makes much the same in few steps
    sizes: tuple[tuple[int, int], ...] = ()  # width and height of more that it is good at

    @property
    def frame_stride(self) -> int:
        """A video has a multiple of it and 1 frame more."""
        return FRAME_STRIDES[self.backbone]


_WAN_NEGATIVE_PROMPT = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, "
    "overall gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, "
    "poorly drawn hands, poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still "
    "picture, messy background, three legs, many people in the background, walking backwards"
)


def _wan_1_3b(title: str, checkpoint: str) -> Preset:
    """A released single-identity checkpoint on Wan 2.1 T2V-1.3B."""
    return Preset(
        title=title,
        backbone="wan",
        domain="photographed",
        tasks=("single",),
        max_references=1,
        base="hub:Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        checkpoint=f"hub:yongzhong/Concat-ID-Wan/{checkpoint}",
        adapter=None,
        face_pack="hub:yongzhong/Concat-ID-Wan/antelopev2",
        score_pack="insightface:buffalo_l",
        face_parser="hub:jonathandinu/face-parsing",
        clothes_parser="hub:mattmdjaga/segformer_b2_clothes",
        clip="hub:openai/clip-vit-base-patch32",
        curricular="hub:BestWishYsh/ConsisID-preview/face_encoder/glint360k_curricular_face_r101_backbone.bin",
        video_clip="hub:OpenGVLab/ViCLIP/ViClip-InternVid-10M-FLT.pth",
        face_frame_size_px=320,
        num_frames=81,
        fps=16,
        height=480,
        width=832,
        side_multiple_px=16,
        num_inference_steps=50,
        guidance_scale=5.0,
        reference_guidance_scale=1.0,
        skip_guidance_layers=(),
        shift=5.0,
        negative_prompt=_WAN_NEGATIVE_PROMPT,
        speed="exact",
        max_sequence_length=512,
        preview_latent_frames=2,
        licence="Wan 2.1: Apache-2.0; Concat-ID checkpoint: see its model card; face packs: research only",
        download_gb=32.0,
        memory_gb=12.0,
        sizes=((480, 832), (624, 624), (720, 544), (544, 720)),
    )


# Wan 2.1 1.3B distilled to few steps without guidance (Self-Forcing, Huang et al., 2025), as a LoRA.
_FEW_STEPS = "Wan2_1_self_forcing_1_3B/Wan2_1_self_forcing_dmd_1_3B_lora_rank_32_fp16.safetensors"


def _wan_1_3b_draft() -> Preset:
    """The released AdaLN checkpoint with a few-step LoRA of its base."""
    whole = _wan_1_3b("Wan 2.1 1.3B with AdaLN, draft", "second_stage_adaln.pt")
    return replace(
        whole,
        adapter=f"hub:Kijai/WanVideo_comfy/LoRAs/{_FEW_STEPS}",
        num_inference_steps=4,
        guidance_scale=1.0,
        shift=8.0,
        licence=f"{whole.licence}; the few-step LoRA: see its model card",
        download_gb=32.1,
    )


def _cogvideox_5b(title: str, repository: str, num_people: int) -> Preset:
    """A released checkpoint on CogVideoX-5B; faces are found and judged as for Wan."""
    folder = "single-identity" if num_people == 1 else "two-identities"
    return replace(
        _wan_1_3b(title, ""),
        backbone="cogvideox",
        tasks=("single",) if num_people == 1 else ("multi",),
        max_references=num_people,
        base="hub:zai-org/CogVideoX-5b",
        checkpoint=f"modelscope:yongzhong/{repository}/{folder}",
        num_frames=49,
        fps=8,
        height=480,
        width=720,
        guidance_scale=6.0,
        shift=None,
        negative_prompt="",
        max_sequence_length=226,
        preview_latent_frames=3,
        licence="CogVideoX 5B: its own licence; Concat-ID: see its model card; face packs: research only",
        download_gb=25.0,
        memory_gb=24.0,
    )


_CONSISID = "hub:BestWishYsh/ConsisID-preview"


def _consisid_5b() -> Preset:
    """ConsisID as its authors released it, on CogVideoX-5B, to compare with."""
    return replace(
        _cogvideox_5b("ConsisID 5B, to compare with", "", 1),
        backbone="consisid",
        base=_CONSISID,
        checkpoint=f"{_CONSISID}/face_encoder/EVA02_CLIP_L_336_psz14_s6B.pt",
        licence="ConsisID: Apache-2.0; CogVideoX 5B, in it: its own licence; face packs: research only",
        download_gb=27.0,
    )


_EMBEDDED = Preset(
    title="Embedded model: drawn people",
    backbone="wan",
    domain="drawn",
    tasks=("single", "multi", "try-on", "background"),
    max_references=3,
    base=EMBEDDED,
    checkpoint=None,
    adapter=None,
    face_pack=EMBEDDED / "face_pack",
    score_pack=EMBEDDED / "face_pack",
    face_parser=EMBEDDED / "face_parser",
    clothes_parser=EMBEDDED / "clothes_parser",
    clip=EMBEDDED / "clip",
    curricular=EMBEDDED / "evaluation" / "cur.onnx",
    video_clip=EMBEDDED / "evaluation" / "video_clip",
    face_frame_size_px=128,
    num_frames=17,
    fps=8,
    height=256,
    width=256,
    side_multiple_px=32,
    num_inference_steps=15,
    guidance_scale=2.3,
    reference_guidance_scale=1.0,
    skip_guidance_layers=(3,),
    shift=4.0,
    negative_prompt="",
    speed="balanced",
    max_sequence_length=64,
    preview_latent_frames=None,
    licence="Apache-2.0",
    download_gb=0.0,
    memory_gb=1.0,
    draft="embedded-draft",
)


def _stage(title: str, adapter: str) -> Preset:
    """The embedded model after more training on one person, on the pairs of a stage.

    It is sampled as in the paper: what pairs teach is to be seen, and the references not to weigh more.
    """
    source = EMBEDDED / "adapters" / f"{adapter}.safetensors"
    return replace(
        _EMBEDDED,
        title=title,
        adapter=source,
        tasks=("single",),
        max_references=1,
        guidance_scale=3.0,
        skip_guidance_layers=(),
        draft=None,
    )


PRESETS: dict[str, Preset] = {
    "embedded": _EMBEDDED,
    "embedded-draft": replace(
        _EMBEDDED,
        title="Embedded model, draft",
        adapter=EMBEDDED / "adapters" / "draft.safetensors",
        num_inference_steps=4,
        guidance_scale=1.0,
        skip_guidance_layers=(),
        speed="exact",
        draft=None,
    ),
    "embedded-stage1": _stage("Embedded model, stage I pairs", "stage1"),
    "embedded-stage2": _stage("Embedded model, stage II pairs", "stage2"),
    "embedded-stage3": _stage("Embedded model, stage III pairs", "stage3"),
    "wan-1.3b-adaln": replace(
        _wan_1_3b("Wan 2.1 1.3B with AdaLN", "second_stage_adaln.pt"), draft="wan-1.3b-adaln-draft"
    ),
    "wan-1.3b-adaln-draft": _wan_1_3b_draft(),
    "wan-1.3b-stage1": _wan_1_3b("Wan 2.1 1.3B, first stage", "first_stage.pt"),
    "cogvideox-5b-single": _cogvideox_5b("CogVideoX 5B, one person", "Concat-ID", 1),
    "cogvideox-5b-two": _cogvideox_5b("CogVideoX 5B, two people", "Concat-ID", 2),
    "cogvideox-5b-single-stage1": _cogvideox_5b(
        "CogVideoX 5B, one person, first stage", "Concat-ID-pre-training", 1
    ),
    "cogvideox-5b-two-stage1": _cogvideox_5b(
        "CogVideoX 5B, two people, first stage", "Concat-ID-pre-training", 2
    ),
    "consisid-5b": _consisid_5b(),
}
