"""The node pack, run as ComfyUI runs nodes: loaded through a link, checked by their types, called by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from comfy_host import OWN_NODES, Cancelled, Host, Prompt, check, execute, list_inputs, read_workflow
from PIL import Image
from toys import portrait, two_people

from concat_id.__main__ import main
from concat_id.comfyui.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, Model, PrepareReference
from concat_id.comfyui.tensors import to_frames, to_image, to_picture
from concat_id.errors import InvalidJob, NoFaceFound
from concat_id.output.provenance import verify
from concat_id.output.video import read_video
from concat_id.output.watermark import detect

PACK = Path(__file__).parents[1] / "concat_id" / "comfyui"
WORKFLOW = PACK / "example_workflows" / "one_person.json"
NODES = {**NODE_CLASS_MAPPINGS, **OWN_NODES}
LOAD, PICTURE, PREPARE, GENERATE, SCORE = "12356"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path).install(monkeypatch)


@pytest.fixture
def workflow(tmp_path: Path, known_toy: None) -> Prompt:
    """The example, with the toy preset and three steps."""
    portrait(3).save(tmp_path / "face.png")
    prompt = read_workflow(WORKFLOW, NODES)
    prompt[LOAD]["inputs"]["preset"] = "toy"
    prompt[PICTURE]["inputs"]["image"] = str(tmp_path / "face.png")
    prompt[GENERATE]["inputs"]["steps"] = 3
    return prompt


def test_the_example_runs_from_end_to_end(host: Host, workflow: Prompt, tmp_path: Path) -> None:
    results, shown = execute(workflow, NODES)
    frames, fps, video, report = results[GENERATE]
    made = read_video(video)
    assert frames.dtype == torch.float32 and tuple(frames.shape) == made.frames.shape and fps == made.fps
    assert 0 <= float(frames.min()) and float(frames.max()) <= 1
    # Encoding alone is between them; of noise, which a toy makes, it takes much.
    assert np.abs(to_frames(frames).astype(int) - made.frames).mean() < 20
    # What leaves the node says that it was generated, as the file does.
    assert verify(Path(video)).is_ours and detect(to_frames(frames)).is_found
    (entry,) = shown[GENERATE]["images"]
    assert tmp_path / "output" / entry["subfolder"] / entry["filename"] == Path(video)
    seen = results[PREPARE][1]
    assert seen.ndim == 4 and seen.shape[0] == 1 and seen.shape[3] == 3
    scores = json.loads(report)["scores"]
    likeness, again = results[SCORE]
    assert likeness == pytest.approx(scores["arcsim"], abs=0.05) and json.loads(again)["frames"]
    # A preview at the first step, as a picture; then the others.
    value, total, preview = next(update for update in host.updates if update[2])
    assert (value, total, preview[0]) == (1, 3, "JPEG") and isinstance(preview[1], Image.Image)
    assert host.updates[-1][:2] == (3, 3) and host.rooms == 2


def test_another_run_overwrites_nothing_and_the_command_line_makes_it_again(
    host: Host, workflow: Prompt, tmp_path: Path
) -> None:
    first, second = (Path(execute(workflow, NODES)[0][GENERATE][2]) for _ in range(2))
    assert first != second and first.is_file()
    again = tmp_path / "again.mp4"
    assert main(["generate", "--job", str(second.with_suffix(".json")), "--output", str(again)]) == 0
    frames = [read_video(video).frames for video in (first, second, again)]
    assert np.array_equal(frames[0], frames[2]) and np.array_equal(frames[1], frames[2])


def test_cancel_ends_it_and_leaves_nothing(host: Host, workflow: Prompt, tmp_path: Path) -> None:
    host.cancel_after = 1
    with pytest.raises(Cancelled):
        execute(workflow, NODES)
    assert len(host.updates) == 1 and not list((tmp_path / "output").rglob("*.mp4"))
    assert not list((tmp_path / "output").rglob(".*"))


@pytest.mark.parametrize(
    ("node", "name", "value", "said"),
    [
        (LOAD, "preset", "unheard-of", "not in the list"),
        (GENERATE, "seed", -1, "out of range"),
        (GENERATE, "seed", 2**32, "out of range"),
        (GENERATE, "steps", 999, "out of range"),
        (PREPARE, "role", "dog", "not in the list"),
        (GENERATE, "reference_1", [PICTURE, 0], "takes CONCAT_ID_REFERENCE, got IMAGE"),
        (SCORE, "frames", [PREPARE, 0], "takes IMAGE, got CONCAT_ID_REFERENCE"),
    ],
)
def test_what_types_forbid_is_refused_before(
    workflow: Prompt, node: str, name: str, value: object, said: str
):
    workflow[node]["inputs"][name] = value
    assert [problem for problem in check(workflow, NODES) if said in problem]
    del workflow[node]["inputs"][name]
    missing = any("is missing" in problem for problem in check(workflow, NODES))
    assert missing == (name in NODES[workflow[node]["class_type"]].INPUT_TYPES()["required"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 100}, "width must be a multiple of"),
        ({"frames": 8}, "num_frames must be 4 k \\+ 1"),
        ({"prompt": " "}, "the prompt is empty"),
        ({"reference_2": [PREPARE, 0]}, "cannot do|at most"),
    ],
)
def test_what_the_preset_cannot_do_is_a_sentence(
    host: Host, workflow: Prompt, changes: dict, said: str, tmp_path: Path
) -> None:
    workflow[GENERATE]["inputs"] |= changes
    if "reference_2" in changes:
        workflow[LOAD]["inputs"]["preset"] = "embedded-stage1"
    with pytest.raises(InvalidJob, match=said):
        execute(workflow, NODES)
    assert not list((tmp_path / "output").rglob("*.mp4"))


def test_every_node_keeps_the_contract() -> None:
    assert set(NODE_CLASS_MAPPINGS) == set(NODE_DISPLAY_NAME_MAPPINGS)
    for node in NODE_CLASS_MAPPINGS.values():
        assert isinstance(node.RETURN_TYPES, tuple) and len(node.RETURN_NAMES) == len(node.RETURN_TYPES)
        assert callable(getattr(node, node.FUNCTION)) and node.CATEGORY and node.DESCRIPTION
        for name, kind, options in list_inputs(node):
            assert name.isidentifier() and (isinstance(kind, list) or kind.isupper())
            default = options.get("default")
            assert default is None or not isinstance(kind, list) or default in kind
        json.dumps(node.INPUT_TYPES())  # as the page asks for it


def test_a_link_in_custom_nodes_installs_them(tmp_path: Path) -> None:
    link = tmp_path / "custom_nodes" / "concat-id"
    link.parent.mkdir()
    link.symlink_to(PACK)
    load = (
        "import importlib.util as u, sys; name = sys.argv[1]; "
        "spec = u.spec_from_file_location(name, name + '/__init__.py'); "
        "module = u.module_from_spec(spec); sys.modules[name] = module; spec.loader.exec_module(module); "
        "print(sorted(module.NODE_CLASS_MAPPINGS)); "
        "assert not {'gradio', 'comfy', 'folder_paths'} & set(sys.modules)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", load, str(link)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(sorted(NODE_CLASS_MAPPINGS))


def test_what_it_installs_is_the_repository_s_without_pytorch() -> None:
    ours, theirs = (
        {line for line in path.read_text().splitlines() if "==" in line}
        for path in (PACK.parents[1] / "requirements.txt", PACK / "requirements.txt")
    )
    assert theirs <= ours and not [line for line in theirs if line.startswith(("torch", "gradio", "numpy"))]


def test_pictures_pass_unchanged_and_a_mask_cuts_out() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    image = to_image(pixels)
    assert np.array_equal(to_frames(image), pixels) and to_picture(image).mode == "RGB"
    assert to_picture(image, torch.zeros(1, 64, 64)).mode == "RGB"
    mask = torch.zeros(1, 48, 64)
    mask[:, :, 32:] = 1
    alpha = np.asarray(to_picture(image, mask))[..., 3]
    assert (alpha[:, :32] == 255).all() and (alpha[:, 32:] == 0).all()
    for wrong in (image.expand(2, -1, -1, -1), image[0], image[..., :1]):
        with pytest.raises(InvalidJob, match="one picture"):
            to_picture(wrong)


@pytest.mark.usefixtures("known_toy", "host")
def test_the_face_of_a_group_is_chosen() -> None:
    image = to_image(np.asarray(two_people(3))[None])
    prepare, model = PrepareReference().prepare, Model("toy", "auto", ())
    reference, seen, notes = prepare(model, image, "face")
    assert reference.face_index is None and "2 faces; the largest one is used" in notes
    other, other_seen, said = prepare(model, image, "face", face_index=1)
    assert other.face_index == 1 and said == "" and not torch.equal(seen, other_seen)
    with pytest.raises(NoFaceFound):
        prepare(model, torch.full((1, 64, 64, 3), 0.5), "face")
