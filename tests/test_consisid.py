"""ConsisID beside ours: it computes what diffusers' pipeline computes, and a job runs the whole way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ConsisIDPipeline
from diffusers.pipelines.consisid import pipeline_consisid
from PIL import Image
from toys import TOY_EVA_CLIP, landscape, portrait, run, toy_cogvideox_preset, write_toy_consisid

from concat_id import Job, Reference, Settings
from concat_id.errors import InputError, InvalidJob, NoFaceFound
from concat_id.generation import prepare_reference
from concat_id.loading import consisid, load
from concat_id.loading.presets import PRESETS
from concat_id.pipelines.pipeline_consisid import StreamedConsisIDPipeline

SIZE = {"height": 32, "width": 48, "num_frames": 9, "num_inference_steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ConsisID with random weights, as released and as ours."""
    return write_toy_consisid(tmp_path_factory.mktemp("consisid"))


@pytest.fixture(scope="module")
def toy(folder: Path) -> Iterator[str]:
    """The name of a preset with these weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "toy-consisid", toy_cogvideox_preset(folder / "ours", "consisid-5b"))
        yield "toy-consisid"
    for cached in (load._load_pipeline, load._load_face_tools, load.weights_digest):
        cached.cache_clear()


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    portrait(3).save(tmp_path / "face.png")
    return Reference("face", tmp_path / "face.png")


def test_it_computes_what_diffusers_pipeline_computes(
    folder: Path, toy: str, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The face's latents are a sample there, a mode here.
    monkeypatch.setattr(pipeline_consisid, "retrieve_latents", lambda output, _: output.latent_dist.mode())
    stock = ConsisIDPipeline.from_pretrained(folder / "released")
    ours = StreamedConsisIDPipeline.from_pretrained(folder / "ours")
    for pipeline in (stock, ours):
        pipeline.set_progress_bar_config(disable=True)
    prepared = prepare_reference(reference, toy)
    told = ours.describe_faces([prepared])
    for size in ({}, {"height": 64, "width": 32}):
        given = {
            "prompt": "A person laughs.",
            "guidance_scale": 6.0,
            "max_sequence_length": 32,
            **SIZE,
            **size,
        }
        expected = stock(
            image=prepared.picture,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
            **told,
            **given,
        ).frames
        found = ours(
            references=[prepared.picture],
            generator=torch.Generator().manual_seed(0),
            output_type="np",
            attention_kwargs=told,
            **given,
        ).frames
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_face_is_shown_on_white_and_told_by_two_recognisers(toy: str, reference: Reference) -> None:
    prepared = prepare_reference(reference, toy)
    pixels = np.asarray(prepared.picture)
    assert pixels.shape == (512, 512, 3) and (pixels[-40:] == 255).mean() > 0.9  # the neck, the clothes
    # The eyes are where the template has them: inside the kept face.
    assert (pixels[230:250, 180:330] < 255).any(axis=-1).mean() > 0.9
    told = load.load_pipeline(toy, "cpu").describe_faces([prepared])
    face = prepared.face
    arcface, clip = told["id_cond"][0, : len(face.embedding)], told["id_cond"][0, len(face.embedding) :]
    np.testing.assert_allclose(arcface, face.embedding * face.embedding_norm, rtol=1e-5)
    assert face.embedding_norm > 1.5 and clip.norm() == pytest.approx(1, abs=1e-5)
    assert len(told["id_vit_hidden"]) == 5


def test_a_job_becomes_a_video_that_the_face_decides(toy: str, reference: Reference, tmp_path: Path) -> None:
    job = Job("single", (reference,), "A person laughs.", Settings(seed=7), toy)
    (preview,), result = run(job, tmp_path / "out.mp4")
    assert preview.frames.shape == (9, 64, 64, 3) and result.frames.shape == (17, 64, 64, 3)
    assert result.scores is not None and result.job.settings.guidance_scale == 6.0
    again = run(Job.load(result.sidecar), tmp_path / "again.mp4")[1]
    assert np.array_equal(again.frames, result.frames)
    portrait(5, identity_seed=5).save(tmp_path / "other.png")
    other = replace(job, references=(Reference("face", tmp_path / "other.png"),))
    assert not np.array_equal(run(other, tmp_path / "other.mp4")[1].frames, result.frames)


def test_the_released_files_are_put_together_at_first_use(
    folder: Path, toy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(consisid.load_eva_clip, **TOY_EVA_CLIP)
    monkeypatch.setattr(consisid, "load_eva_clip", small)
    released = {"base": folder / "released", "checkpoint": folder / "eva_clip.pt"}
    monkeypatch.setitem(PRESETS, "released-consisid", replace(PRESETS[toy], **released))
    assert load.list_missing("released-consisid") == []
    pipeline = load.load_pipeline("released-consisid", "cpu")
    assert isinstance(pipeline, StreamedConsisIDPipeline) and pipeline.face_encoder.config.image_size == 28
    digest = load.weights_digest("released-consisid")
    assert digest == load.weights_digest(toy)
    # Which face encoder it was is part of which model it was.
    path = load.pipeline_folder("released-consisid") / "face_encoder" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    load.weights_digest.cache_clear()
    assert load.weights_digest("released-consisid") != digest


def test_what_it_cannot_do_is_refused(toy: str, reference: Reference, tmp_path: Path) -> None:
    job = Job("single", (reference,), "A person laughs.", Settings(seed=7), toy)
    with pytest.raises(InvalidJob, match="cannot do the task 'multi'; it can do 'single'"):
        replace(job, task="multi", references=(reference, reference)).resolve()
    stronger = replace(job, settings=Settings(reference_guidance_scale=2.0))
    with pytest.raises(InputError, match="reference_guidance_scale is 2; ConsisID always has its face"):
        run(stronger, tmp_path / "out.mp4")
    landscape().save(tmp_path / "place.png")
    nobody = replace(job, references=(Reference("face", tmp_path / "place.png", whole_picture=True),))
    with pytest.raises(NoFaceFound, match="ConsisID needs one"):
        run(nobody, tmp_path / "out.mp4")
    pipeline = load.load_pipeline(toy, "cpu")
    with pytest.raises(InputError, match="give one reference with a face"):
        pipeline("A person laughs.", [Image.new("RGB", (64, 64))], output_type="latent", **SIZE)
