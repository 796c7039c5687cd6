"""The models one can choose from: where their weights are, what they do, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from concat_id.weights import Source

Task = Literal["single", "multi", "try-on", "background"]

EMBEDDED = Path(__file__).resolve().parent.parent / "assets" / "embedded"
DEFAULT_PRESET = "embedded"


@dataclass(frozen=True)
class Preset:
    """A model, what it can do, and the settings it was trained for."""

    title: str
    tasks: tuple[Task, ...]
    max_references: int
    # Weights, see `concat_id.weights`
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
    num_frames: int  # 4 k + 1
    fps: int
    height: int  # px, a multiple of 16
    width: int  # px, a multiple of 16
    # Sampling
    num_inference_steps: int
    guidance_scale: float
    reference_guidance_scale: float | None  # None: off
    skip_guidance_layers: tuple[int, ...]  # blocks that the pass without references leaves out
    shift: float
    negative_prompt: str
    max_sequence_length: int  # text tokens
    # A preview decodes the first of the latent frames, None: all; the first k make 4 k - 3 frames, exactly.
    preview_latent_frames: int | None
    # For the user to know
    licence: str
    download_gb: float
    memory_gb: float
    draft: str | None = None  # the preset that makes much the same in few steps
    sizes: tuple[tuple[int, int], ...] = ()  # width and height of more that it is good at

    @property
    def knows_drawn_people_only(self) -> bool:
        """Whether it was made of the drawn people, and by the words of their captions alone."""
        return isinstance(self.score_pack, Path)


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
        num_inference_steps=50,
        guidance_scale=5.0,
        reference_guidance_scale=None,
        skip_guidance_layers=(),
        shift=5.0,
        negative_prompt=_WAN_NEGATIVE_PROMPT,
        max_sequence_length=512,
        preview_latent_frames=2,
        licence="Wan 2.1: Apache-2.0; Concat-ID checkpoint: see its model card; face packs: research only",
        download_gb=32.0,
        memory_gb=12.0,
        sizes=((480, 832), (624, 624), (720, 544), (544, 720)),
    )


_EMBEDDED = Preset(
    title="Embedded model: drawn people",
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
    height=128,
    width=128,
    num_inference_steps=15,
    # Weaker guidance leaves movements to chance, stronger costs likeness.
    guidance_scale=4.0,
    # So small a model needs both for eyes and mouths that are whole, and the person's.
    reference_guidance_scale=2.5,
    skip_guidance_layers=(1,),
    shift=4.0,
    negative_prompt="",
    max_sequence_length=64,
    preview_latent_frames=None,
    licence="Apache-2.0",
    download_gb=0.0,
    memory_gb=1.0,
    draft="embedded-draft",
)


def _stage(title: str, adapter: str) -> Preset:
    """The embedded model after more training on one person, on the pairs of a stage."""
    source = EMBEDDED / "adapters" / f"{adapter}.safetensors"
    return replace(
        _EMBEDDED,
        title=title,
        adapter=source,
        tasks=("single",),
        max_references=1,
        guidance_scale=6.0,  # with less, that the stages differ in following words does not show
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
        reference_guidance_scale=None,
        draft=None,
    ),
    "embedded-stage1": _stage("Embedded model, stage I pairs", "stage1"),
    "embedded-stage2": _stage("Embedded model, stage II pairs", "stage2"),
    "embedded-stage3": _stage("Embedded model, stage III pairs", "stage3"),
    "wan-1.3b-adaln": _wan_1_3b("Wan 2.1 1.3B with AdaLN", "second_stage_adaln.pt"),
    "wan-1.3b-stage1": _wan_1_3b("Wan 2.1 1.3B, first stage", "first_stage.pt"),
}
