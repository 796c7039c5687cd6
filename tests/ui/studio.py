"""What a served page runs in these tests: the real types, at a pace that a test sets."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import gradio as gr
import numpy as np
from playwright.sync_api import Page, expect

from concat_id.errors import NoFaceFound, NoGarmentFound, PlaceHidden
from concat_id.generation import Preview, Progress, Result
from concat_id.job import Job
from concat_id.limits import DEFAULTS, Limits
from concat_id.output.video_files import describe_run, write_result
from concat_id.people.portrait import Traits
from concat_id.references.faces import Face
from concat_id.references.pictures import load_picture
from concat_id.references.prepare import PreparedReference
from concat_id.references.reference import Reference
from concat_id.scoring import FrameScores, Scores
from concat_id.scoring.scorer import join_people, summarize
from concat_id.studio.uploads import own_uploads
from concat_id.ui import build_demo, launch_demo
from concat_id.ui.layout import RESULTS, RUNS

LAUNCHES = 4


def score_frames(values: list[float | None]) -> Scores:
    """Scores of a clip, given ArcSim frame by frame."""
    clipdist = tuple(None if value is None else 1 - value for value in values)
    boxes = tuple(None if value is None else (8, 8, 40, 40) for value in values)
    return summarize(FrameScores(tuple(range(len(values))), tuple(values), clipdist, boxes))


def score_job(job: Job, values: list[float | None]) -> Scores:
    """Scores of a job's clip; everyone is a tenth less alike than who stands to the left."""
    roles = [reference.role for reference in job.references]
    people = [
        score_frames([None if value is None else value - 0.1 * index for value in values])
        for index in range(roles.count("face"))
    ]
    scores = people[0] if len(people) == 1 else replace(join_people(people), order_rate=0.75)
    return replace(
        scores,
        garment=0.61 if "garment" in roles else None,
        background=0.72 if "background" in roles else None,
    )


@dataclass
class PacedRuns:
    """Runs jobs at a pace a test sets, and remembers them."""

    step_s: float = 0.15
    hold_after: int | None = None  # the last step that is made until this is None
    started: list[Job] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    steps: int = 0
    most_at_once: int = 0

    def generate(self, job: Job, output: Path) -> Iterator[Progress | Result]:
        """Fade from grey to the reference in the job's number of steps, with a preview every other step."""
        self.started.append(job)
        self.most_at_once = max(self.most_at_once, len(self.started) - len(self.closed))
        number, began, total = len(self.started), time.monotonic(), job.settings.num_inference_steps
        size = (job.settings.width, job.settings.height)
        picture = np.asarray(load_picture(job.references[0].picture).resize(size), np.float32)
        if picture.std() < 1:
            raise NoFaceFound("no face was found in the picture; choose one that shows a face clearly.")
        try:
            for index in range(total):
                time.sleep(self.step_s)
                while self.hold_after is not None and index > self.hold_after:
                    time.sleep(0.05)
                self.steps += 1
                share = (index + 1) / total
                values = [None, *[share] * (job.settings.num_frames - 1)]
                frames = self._frames(job, picture * share + 128 * (1 - share))
                progress = (index, total, time.monotonic() - began, (total - index) * self.step_s)
                scores = score_job(job, values) if index else None
                yield Progress(*progress) if index % 2 else Preview(*progress, frames, scores)
        finally:
            self.closed.append(number)
        scores = score_job(job, [self.likeness(job)] * job.settings.num_frames)
        pictures = [load_picture(reference.picture) for reference in job.references]
        facts = describe_run(pictures, [()] * len(pictures), scores, "A toy", "0" * 64)
        files = write_result(output, job, frames, pictures, facts, began)
        yield Result(files.video, files.sidecar, files.job, scores, files.seconds, frames)

    @staticmethod
    def likeness(job: Job) -> float:
        """ArcSim of a job's video: .75 with the embedded model, and higher with more likeness."""
        return 1 - 0.25 / (job.settings.reference_guidance_scale or 1)

    @staticmethod
    def _frames(job: Job, picture: np.ndarray) -> np.ndarray:
        """The picture, sliding."""
        frames = [np.roll(picture, 2 * index, axis=1) for index in range(job.settings.num_frames)]
        return np.stack(frames).astype(np.uint8)


# The drawn person like whoever is photographed.
ALIKE = Traits(features="masculine", skin="bronze", hair="afro", beard="full beard")


def describe(reference: Reference, preset: str) -> Traits:
    """Whoever it is."""
    return ALIKE


NOTHING_FOUND = {
    "face": NoFaceFound("no face was found in the picture; choose another one, or use the whole picture."),
    "garment": NoGarmentFound("no clothing was found in the picture; choose another one."),
    "background": PlaceHidden("people hide 90 % of the place; choose another one."),
}


def prepare(reference: Reference, preset: str) -> PreparedReference:
    """Take every 200 px of a picture's width for a face, and a plain picture for one without.

    Of other roles, a wide picture is one with people; a JPEG file is a photograph.
    """
    picture = load_picture(reference.picture)
    if reference.whole_picture:
        return PreparedReference(picture, None, (), ("The whole picture serves as the reference.",))
    if np.asarray(picture).std() < 1:
        raise NOTHING_FOUND[reference.role]
    if reference.role != "face":
        notes = ("The people in the picture were removed.",) if picture.width > picture.height else ()
        return PreparedReference(picture, None, (), notes)
    faces = tuple(
        Face(
            box=np.array([left, 0, left + 200, 200], np.float32),
            landmarks=np.zeros((5, 2), np.float32),
            embedding=np.zeros(4, np.float32),
            score=0.9,
        )
        for left in range(0, picture.width - 199, 200)
    )
    face = faces[reference.face_index or 0]
    is_photograph = Path(reference.picture).suffix == ".jpg"
    return PreparedReference(picture.crop(tuple(map(int, face.box))), face, faces, (), is_photograph)


@dataclass(frozen=True)
class Studio:
    """A served page."""

    url: str
    runs: PacedRuns
    outputs: Path

    @property
    def runs_folder(self) -> Path:
        """Where the runs are."""
        return self.outputs / RUNS


def show(page: Page, tab: str) -> None:
    """Go to a tab."""
    page.locator(f"button[data-tab-id={tab}]:visible").click()


def wait_for_video(page: Page, name: str = "video") -> None:
    """Wait until the finished video plays by itself."""
    page.wait_for_selector(f"#{name} video")
    page.wait_for_function(f"document.querySelector('#{name} video').currentTime > 0.2")


def upload(page: Page, picture: Path) -> None:
    """Give a picture, and wait until the slot has answered."""
    page.locator("#picture input[type=file]").first.set_input_files(picture)
    page.wait_for_selector("#seen [data-state=ready], #seen [data-state=refused]")


def choose_person_and_prompt(page: Page) -> None:
    """The first example person, the first idea."""
    page.locator("#people button.gallery-item").first.click()
    page.wait_for_selector("#seen [data-state=ready]")
    page.locator("#ideas button").first.click()
    expect(page.locator("#prompt textarea")).to_have_value(re.compile("beach"))


def open_newest(page: Page) -> None:
    """Go to the runs and open the first."""
    show(page, "runs")
    page.locator("#runs button.thumbnail-item").first.click(timeout=120_000)
    expect(page.locator("#run-video video")).to_be_visible(timeout=120_000)


@contextmanager
def serve_studio(
    tmp_path: Path,
    people: dict[str, Path],
    preset: str,
    limits: Limits = DEFAULTS,
    models: tuple[str, ...] = (),
    port: int | None = None,
    results: Path = RESULTS,
    replicas: int | None = None,
) -> Iterator[Studio]:
    """Serve the page of a preset, with more models to choose from; without a port, on a free one.

    Args:
        replicas: of a backend, which these runs then are.
    """
    examples = tmp_path / "examples"
    examples.mkdir(parents=True)
    shutil.copy(people["one"], examples / "person.png")
    runs = PacedRuns()
    outputs = tmp_path / "outputs"
    with own_uploads():
        demo = build_demo(
            runs.generate,
            prepare,
            describe=describe,
            preset=preset,
            models=models,
            outputs=outputs,
            examples=examples,
            results=results,
            limits=limits,
            replicas=replicas,
        )
        url = launch_patiently(demo, outputs, limits, port or find_free_port())
        yield Studio(url, runs, outputs)
        demo.close(verbose=False)


def find_free_port() -> int:
    """A port that no other process of the tests looks at: Gradio tries the same ones in each."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch_patiently(demo: gr.Blocks, outputs: Path, limits: Limits, port: int) -> str:
    """Serve a page, once more where a busy machine answered Gradio's own look at it too late; its address."""
    for attempt in range(LAUNCHES):
        try:
            _, url, _ = launch_demo(
                demo, outputs, limits, server_port=port, prevent_thread_lock=True, quiet=True
            )
            return url
        except ValueError as error:
            if "localhost is not accessible" not in str(error) or attempt == LAUNCHES - 1:
                raise
            demo.close(verbose=False)
    raise AssertionError
