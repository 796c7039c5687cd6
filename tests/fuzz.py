"""Good files of every kind that is read, and what reads them: damaged ones get a result or a sentence."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hostile import FORMATS, damaged, sound_pictures
from PIL import Image
from profiles import DISPLAY_P3, profile
from safetensors.torch import save
from toys import make_transformer

from concat_id.batch import read_jobs
from concat_id.errors import InputError
from concat_id.job import Job
from concat_id.loading.own_weights import _find_lora
from concat_id.models.lora import merge_lora, read_lora
from concat_id.output.video import read_video, write_video
from concat_id.references.pictures import load_picture
from concat_id.references.reference import Reference
from concat_id.studio.restore import restore_job
from concat_id.studio.runs import Library

CASES = Path(__file__).with_name("cases")
MAX_SENTENCE = 500


@dataclass(frozen=True)
class Target:
    """A kind of file."""

    good: bytes
    suffix: str
    read: Callable[[Path], Any]


def build_targets(folder: Path) -> dict[str, Target]:
    """All kinds; a folder to make the good files in."""
    pictures = sound_pictures(5)
    targets = {name: Target(pictures[name], ".img", load_picture) for name in FORMATS}
    targets["AVIF"] = Target(_encode("AVIF"), ".avif", load_picture)
    targets["transparent"] = Target(_encode("PNG", mode="RGBA"), ".png", _load_with_alpha)
    for name in ("PNG", "JPEG", "WEBP", "TIFF"):
        data = _encode(name, icc_profile=profile(*DISPLAY_P3))
        targets[f"{name} with a profile"] = Target(data, ".img", load_picture)
    report = {"job": _job().to_dict(), "references": [{"pixels_sha256": "0" * 64}], "scores": None}
    video = write_video(_frames(), 8, folder / "good.mp4", report).read_bytes()
    targets["MP4"] = Target(video, ".mp4", read_video)
    targets["restored MP4"] = Target(video, ".mp4", lambda path: restore_job(path, [], []))
    targets["WebM"] = Target((CASES / "no-frame-rate.webm").read_bytes(), ".webm", read_video)
    text = json.dumps(report).encode()
    targets["sidecar"] = Target(text, ".json", lambda path: Job.load(path).resolve())
    targets["run"] = Target(text, ".json", _open_run)
    lines = "\n".join([json.dumps(_job().to_dict())] * 3).encode()
    targets["jobs"] = Target(lines, ".jsonl", _read_jobs)
    targets["LoRA"] = Target(_lora(), ".safetensors", _merge)
    return targets


def mutate(target: Target, number: int, seed: int) -> Iterator[bytes]:
    """Damaged versions of a file; of texts also ones in which values were exchanged."""
    yield from damaged(target.good, number, seed)
    if target.suffix.startswith(".json"):
        draw = random.Random(seed)
        values = ("null", "-1", "1e999", "[]", "{}", '"\\ud800"', '"\u2028"', "[" * 3000, "9" * 5000)
        for _ in range(number // 4):
            at = draw.randrange(len(target.good))
            yield target.good[:at] + draw.choice(values).encode() + target.good[at + draw.randrange(9) :]


def answer(target: Target, data: bytes, folder: Path) -> Any:
    """What reading a file gives, or the error that says why not; any other error is a fault of ours."""
    path = folder / f"fuzzed{target.suffix}"
    path.write_bytes(data)
    try:
        return target.read(path)
    except InputError as error:
        said = str(error)
        assert said.rstrip().endswith((".", "?")) and "\n" not in said and len(said) < MAX_SENTENCE, said
        return error


def _encode(name: str, mode: str = "RGB", **options: Any) -> bytes:
    """A small picture of noise."""
    pixels = np.random.default_rng(7).integers(0, 256, (40, 48, len(mode)), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


def _load_with_alpha(path: Path) -> Image.Image:
    return load_picture(path, keep_alpha=True)


def _frames() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def _job() -> Job:
    return Job("single", (Reference("face", "face.png", 0),), "a person laughing").resolve()


def _open_run(path: Path) -> Any:
    """Open a run whose sidecar it is, from a folder as the studio has it."""
    folder = path.parent / f"{'0' * 16}-{'0' * 24}"
    folder.mkdir(exist_ok=True)
    (folder / "video.mp4").touch()
    (folder / "video.json").write_bytes(path.read_bytes())
    run = Library(path.parent).open(folder.name)
    return run.scores, run.seconds, run.pictures_sha256


def _read_jobs(path: Path) -> list[Any]:
    """Read the jobs, and check those that could be read."""
    found = []
    for data in read_jobs(path):
        try:
            found.append(data if isinstance(data, InputError) else Job.from_file(data, path.parent).resolve())
        except InputError as error:
            found.append(error)
    return found


def _lora() -> bytes:
    """A LoRA as ComfyUI has it."""
    module = "diffusion_model.blocks.0.self_attn.q"
    return save({f"{module}.lora_A.weight": torch.ones(2, 24), f"{module}.lora_B.weight": torch.ones(24, 2)})


def _merge(path: Path) -> None:
    """Merge a file if it is taken for a LoRA."""
    if _find_lora(path):
        merge_lora(make_transformer(num_layers=1), read_lora(path))
