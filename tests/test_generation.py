"""A job becomes previews, then a scored video; what cannot work is refused before."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toys import garment, is_same_video, landscape, portrait, run, two_people

from concat_id import generation
from concat_id.__main__ import main
from concat_id.errors import (
    InvalidCredentials,
    InvalidJob,
    NoFaceFound,
    NoGarmentFound,
    PlaceHidden,
    UnreadablePicture,
)
from concat_id.generation import (
    NOT_SCORED,
    Preview,
    Progress,
    decode_frames,
    generate,
    prepare_reference,
    stream_job,
)
from concat_id.job import TASK_ROLES, Job
from concat_id.loading.load import load_pipeline
from concat_id.loading.presets import PRESETS, Task
from concat_id.pipelines.outputs import Step
from concat_id.pipelines.pipeline import ConcatIDPipeline
from concat_id.references.reference import Reference
from concat_id.scoring import Target
from concat_id.settings import Settings

pytestmark = pytest.mark.usefixtures("known_toy")


def test_every_step_is_reported(job: Job, tmp_path: Path) -> None:
    *steps, _ = generate(job, tmp_path / "out", device="cpu")
    assert [type(step) for step in steps] == [Preview, Progress, Preview, Progress]
    seconds = [step.seconds for step in steps]
    assert seconds == sorted(seconds) and all(step.seconds_left > 0 for step in steps)


CHANGED = Settings(
    seed=8,
    num_inference_steps=3,
    guidance_scale=3.5,
    reference_guidance_scale=2.5,
    negative_prompt="Blurred.",
    num_frames=5,
    height=96,
    width=96,
    skip_guidance_layers=(),
    shift=3.5,
    max_sequence_length=4,
    speed="exact",
)


@pytest.mark.parametrize("field", [entry.name for entry in fields(Settings) if entry.name != "fps"])
def test_every_setting_reaches_the_pipeline(job: Job, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    prepared = [prepare_reference(job.references[0], preset="toy")]

    def ask(settings: Settings) -> dict[str, object]:
        given = {}

        def stream(self: ConcatIDPipeline, **options: object) -> Iterator[Step]:
            yield given.update(options, cache=self.transformer.is_cache_enabled)

        monkeypatch.setattr(type(pipeline), "stream", stream)
        next(stream_job(pipeline, replace(job, settings=settings).resolve(), prepared))
        given["noise"] = given.pop("generator").initial_seed()
        return given | {"shift": pipeline.scheduler.shift}

    # What is skipped matters beside guidance only.
    base = Settings(seed=7, reference_guidance_scale=2.0, skip_guidance_layers=(1,))
    before, after = ask(base), ask(replace(base, **{field: getattr(CHANGED, field)}))
    assert any(
        not torch.equal(before[name], value) if isinstance(value, torch.Tensor) else before[name] != value
        for name, value in after.items()
    )


def test_previews_come_first_then_one_result(job: Job, tmp_path: Path) -> None:
    previews, result = run(job, tmp_path / "out")
    assert [preview.index for preview in previews] == [0, 2]
    for preview in previews:
        assert preview.total == 4 and preview.frames.shape == (9, 64, 64, 3)
        assert preview.scores.frames.indices == (0, 2, 4, 6, 8)
        assert preview.seconds_left > 0
    seconds = [event.seconds for event in (*previews, result)]
    assert seconds == sorted(seconds)
    assert result.frames.shape == (9, 64, 64, 3) and len(result.scores.frames.indices) == 9


def test_what_cannot_be_signed_is_refused_before_anything_is_made(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCAT_ID_SIGNING", "none.pem")
    with pytest.raises(InvalidCredentials, match="'none.pem' cannot be read"):
        next(generate(job, tmp_path / "out", device="cpu"))
    assert not (tmp_path / "out").exists()


def test_seed_prompt_and_face_make_another_video(job: Job, tmp_path: Path) -> None:
    portrait(8).save(tmp_path / "other.png")
    changes = (
        {},
        {"settings": Settings(seed=8)},
        {"prompt": "A person sits."},
        {"references": (Reference("face", tmp_path / "other.png"),)},
    )
    videos = [
        run(replace(job, **change), tmp_path / "out.mp4", preview_every=0)[1].frames.tobytes()
        for change in changes
    ]
    assert len(set(videos)) == len(videos)


def test_the_chosen_face_matters(job: Job, tmp_path: Path) -> None:
    two_people(0).save(tmp_path / "two.png")
    videos = [
        run(
            replace(job, references=(Reference("face", tmp_path / "two.png", face_index=index),)),
            tmp_path / "out.mp4",
            preview_every=0,
        )[1]
        for index in (None, 0, 1)
    ]
    notes = json.loads(videos[2].sidecar.read_text())["references"][0]["notes"]
    assert not any("largest" in note for note in notes)
    assert np.array_equal(videos[0].frames, videos[1].frames)
    assert not np.array_equal(videos[1].frames, videos[2].frames)


@pytest.mark.parametrize("last", [0, 1])
def test_closing_the_generator_stops_it_at_any_step_and_leaves_nothing(
    last: int, job: Job, tmp_path: Path
) -> None:
    steps = []

    class Counting:
        def __init__(self) -> None:
            self.pipeline = load_pipeline("toy", "cpu")

        def __getattr__(self, name: str) -> object:
            return getattr(self.pipeline, name)

        def stream(self, *arguments: object, **options: object) -> object:
            for step in self.pipeline.stream(*arguments, **options):
                steps.append(step.index)
                yield step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "load_pipeline", lambda *_, **__: Counting())
        events = generate(job, tmp_path / "out", device="cpu")
        assert [next(events).index for _ in range(last + 1)] == list(range(last + 1))
        events.close()
    assert steps == list(range(last + 1))
    assert not (tmp_path / "out").exists()


def test_a_whole_picture_without_a_face_has_no_scores(job: Job, tmp_path: Path) -> None:
    landscape().save(tmp_path / "place.png")
    reference = Reference("face", tmp_path / "place.png", whole_picture=True)
    previews, result = run(replace(job, references=(reference,)), tmp_path / "out")
    assert result.scores is None and previews[0].scores is None
    assert json.loads(result.sidecar.read_text())["scores"] is None


def test_a_judge_that_fails_at_the_end_costs_no_video(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Target, "score_finished", fail)
    _, result = run(job, tmp_path / "out.mp4")
    assert result.video.is_file() and result.scores is None and NOT_SCORED in result.notes
    assert json.loads(result.sidecar.read_text())["scores"] is None
    line = ["generate", "--job", str(result.sidecar), "--output", str(tmp_path / "again.mp4")]
    assert main(line) == 0 and f"note: {NOT_SCORED}" in capsys.readouterr().err


def test_what_cannot_work_is_refused_before_the_pipeline_is_loaded(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "load_pipeline", lambda *_, **__: pytest.fail("the pipeline was loaded"))
    landscape().save(tmp_path / "place.png")
    for broken, error in (
        (replace(job, prompt=""), InvalidJob),
        (replace(job, references=(Reference("face", tmp_path / "none.png"),)), UnreadablePicture),
        (replace(job, references=(Reference("face", tmp_path / "place.png"),)), NoFaceFound),
    ):
        with pytest.raises(error):
            next(generate(broken, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_events_travel_between_processes(job: Job, tmp_path: Path) -> None:
    previews, result = run(job, tmp_path / "out")
    for event in (previews[0], result):
        copy = pickle.loads(pickle.dumps(event))
        assert np.array_equal(copy.frames, event.frames) and copy.scores == event.scores


def test_the_first_latent_frames_decode_to_the_first_frames() -> None:
    pipeline = load_pipeline("toy", "cpu", torch.float32)
    latents = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    whole, part = decode_frames(pipeline, latents), decode_frames(pipeline, latents[:, :, :2])
    assert whole.shape[0] == 9 and part.shape[0] == 5
    assert np.abs(whole[:5].astype(int) - part).max() <= 1


def test_cheap_previews_decode_only_the_beginning(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "toy", replace(PRESETS["toy"], preview_latent_frames=2))
    previews, result = run(job, tmp_path / "out")
    assert [preview.frames.shape[0] for preview in previews] == [5, 5] and result.frames.shape[0] == 9


@pytest.fixture
def wardrobe(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Reference]:
    """References of every kind, and a toy preset that does every task."""
    every_task = replace(PRESETS["toy"], tasks=tuple(TASK_ROLES), max_references=3)
    monkeypatch.setitem(PRESETS, "toy", every_task)
    pictures = {"right": portrait(8), "garment": garment(3), "background": landscape()}
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
    return {
        "left": job.references[0],
        "right": Reference("face", tmp_path / "right.png"),
        "garment": Reference("garment", tmp_path / "garment.png"),
        "background": Reference("background", tmp_path / "background.png"),
    }


@pytest.mark.parametrize(
    "task, names, figures",
    [
        ("multi", ("left", "right"), {"people", "worst"}),
        ("try-on", ("left", "garment"), {"garment"}),
        ("try-on", ("left", "garment", "background"), {"garment", "background"}),
        ("background", ("left", "background"), {"background"}),
    ],
)
def test_every_task_runs_from_its_references_to_its_scores(
    task: Task,
    names: tuple[str, ...],
    figures: set[str],
    wardrobe: dict[str, Reference],
    job: Job,
    tmp_path: Path,
) -> None:
    job = replace(job, task=task, references=tuple(wardrobe[name] for name in names))
    previews, result = run(job, tmp_path / "out" / "name.mp4")
    sidecar = json.loads(result.sidecar.read_text())
    always = {"arcsim", "clipdist", "face_rate", "strict_arcsim", "frames", "order_rate", "cursim", "viclip"}
    for scores in (previews[-1].scores.to_dict(), sidecar["scores"]):
        assert scores.keys() - always == figures
    assert sidecar["scores"] == json.loads(json.dumps(result.scores.to_dict()))
    assert len(list((tmp_path / "out").glob("name-reference-*.png"))) == len(names)
    assert len(sidecar["references"]) == len(names)
    _, again = run(Job.load(result.sidecar), tmp_path / "again" / "name.mp4", preview_every=0)
    assert is_same_video(again.video, result.video) and again.scores == result.scores


def test_every_reference_reaches_the_model_in_its_order(
    wardrobe: dict[str, Reference], job: Job, tmp_path: Path
) -> None:
    def frames(task: Task, *names: str) -> bytes:
        references = tuple(wardrobe[name] for name in names)
        given = replace(job, task=task, references=references)
        return run(given, tmp_path / "out.mp4", preview_every=0)[1].frames.tobytes()

    videos = [
        frames("single", "left"),
        frames("multi", "left", "right"),
        frames("multi", "right", "left"),
        frames("try-on", "left", "garment"),
        frames("background", "left", "background"),
    ]
    assert len(set(videos)) == len(videos)


def test_several_people_are_scored_each_by_their_own_picture(
    wardrobe: dict[str, Reference], job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_people(0).save(tmp_path / "pair.png")
    clip = np.stack([np.asarray(two_people(0, 128))] * 9)
    monkeypatch.setattr(generation, "decode_frames", lambda *_: clip)
    faces = prepare_reference(Reference("face", tmp_path / "pair.png")).faces
    left, right = sorted((0, 1), key=lambda index: faces[index].box[0])
    for order, rate in (((left, right), 1), ((right, left), 0)):
        references = tuple(Reference("face", tmp_path / "pair.png", index) for index in order)
        _, result = run(replace(job, task="multi", references=references), tmp_path / "out.mp4")
        assert result.scores.order_rate == rate
        assert min(person.arcsim for person in result.scores.people) > 0.5


def test_one_face_that_cannot_be_compared_leaves_no_scores(
    wardrobe: dict[str, Reference], job: Job, tmp_path: Path
) -> None:
    nobody = Reference("face", wardrobe["background"].picture, whole_picture=True)
    references = (wardrobe["left"], nobody)
    _, result = run(replace(job, task="multi", references=references), tmp_path / "out.mp4")
    assert result.scores is None


def test_garments_and_places_that_cannot_serve_are_refused_before_the_pipeline_is_loaded(
    wardrobe: dict[str, Reference], job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "load_pipeline", lambda *_, **__: pytest.fail("the pipeline was loaded"))
    bare = replace(wardrobe["garment"], picture=wardrobe["background"].picture)
    hidden = replace(wardrobe["background"], picture=wardrobe["left"].picture)
    for task, reference, error in (("try-on", bare, NoGarmentFound), ("background", hidden, PlaceHidden)):
        with pytest.raises(error):
            next(generate(replace(job, task=task, references=(wardrobe["left"], reference)), tmp_path))


def test_what_a_job_does_not_need_is_not_loaded(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "load_clothes_parser", lambda *_: pytest.fail("it was loaded"))
    run(job, tmp_path / "out", preview_every=0)


def test_who_gives_a_photograph_to_the_embedded_model_learns_what_it_knows(tmp_path: Path) -> None:
    landscape().save(tmp_path / "place.png")
    with pytest.raises(NoFaceFound, match="no face was found .* This model knows drawn people only"):
        prepare_reference(Reference("face", tmp_path / "place.png"))
