"""Decontamination: who looks like anybody in training is not in the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from concat_id.evaluation.benchmark import InvalidBenchmark, load_benchmark
from train.benchmark import people as benchmark_people
from train.benchmark.people import choose_people, draw_candidates, lay_side_by_side, write_benchmark
from train.benchmark.training_faces import Faces, draw_portraits, read_people
from train.curation.decontamination import carry_over_bound, find_nearest
from train.curation.recognition import FaceEmbedder

FACE_PACK = Path("assets/embedded/face_pack")


@pytest.fixture(scope="module")
def embedder() -> FaceEmbedder:
    return FaceEmbedder(FACE_PACK)


def strangers(count: int, width: int) -> Faces:
    """Grey pictures with embeddings at random."""
    vectors = torch.randn(count, width, generator=torch.Generator().manual_seed(0))
    return Faces(
        torch.full((count, 3, 32, 32), 90, dtype=torch.uint8), torch.nn.functional.normalize(vectors, dim=1)
    )


def test_the_bound_is_what_one_pair_of_strangers_in_a_hundred_thousand_exceeds() -> None:
    cosines = torch.linspace(-1, 1, 1_000_001)[torch.randperm(1_000_001)]
    assert (cosines > carry_over_bound(cosines)).sum() == 10
    with pytest.raises(ValueError, match="100000 pairs of strangers or more, got 99999"):
        carry_over_bound(cosines[:99_999])


def test_the_nearest_training_picture_is_named() -> None:
    cosines, numbers = find_nearest(torch.eye(3)[:2], [torch.eye(3)[[2, 1, 0]]])
    assert cosines.tolist() == [[1], [1]] and numbers.tolist() == [[2], [1]]


def test_the_nearest_are_the_same_however_training_is_read() -> None:
    people, training = strangers(3, 8).embeddings, strangers(50, 8).embeddings.flip(0)
    whole, in_parts = (find_nearest(people, parts, 4) for parts in ([training], training.split(7)))
    torch.testing.assert_close(whole[0], (people @ training.T).sort(descending=True).values[:, :4])
    assert torch.equal(whole[1], in_parts[1]) and find_nearest(people, [training[:2]], 4)[0].shape == (3, 2)


def test_a_candidate_seen_in_training_is_left_out_and_the_others_follow(
    monkeypatch: pytest.MonkeyPatch, embedder: FaceEmbedder
) -> None:
    monkeypatch.setattr(benchmark_people, "PEOPLE", 4)
    monkeypatch.setattr(benchmark_people, "SIDE_PX", 96)
    portraits = draw_candidates(6, embedder)
    others = strangers(20_000, portraits.embeddings.shape[1])
    seen = Faces(
        torch.cat([others.frames, torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)]),
        torch.cat([others.embeddings, portraits.embeddings[1:2]]),
    )
    chosen, nearest, numbers, facts = choose_people(seen, 6, embedder)
    assert torch.equal(chosen, portraits.frames[[0, 2, 3, 4]])
    assert (nearest == 90).all() and lay_side_by_side(chosen, nearest).height == 34
    assert facts["dropped"] == 1 and facts["nearest_cosine"] <= facts["bound"] < 1
    monkeypatch.setattr(benchmark_people, "PEOPLE", 6)
    with pytest.raises(ValueError, match="only 5 of 6 candidates passed"):
        choose_people(seen, 6, embedder)


def test_people_of_footage_are_drawn_again_and_look_like_themselves(
    tmp_path: Path, embedder: FaceEmbedder
) -> None:
    for index, people in enumerate(("[3, 5]", "[5, 8]")):
        save_file({"latents": torch.zeros(1)}, tmp_path / f"{index}.safetensors", metadata={"people": people})
    assert read_people(tmp_path) == {3, 5, 8}
    with pytest.raises(FileNotFoundError, match="name the folders"):
        read_people(tmp_path / "nothing")
    (tmp_path / "nameless").mkdir()
    save_file({"latents": torch.zeros(1)}, tmp_path / "nameless" / "0.safetensors", metadata={"captions": ""})
    with pytest.raises(ValueError, match="does not say who is in it; make it again"):
        read_people(tmp_path / "nameless")
    portraits, again = draw_portraits([3, 5, 8], embedder), draw_portraits([8, 3, 5], embedder)
    cosines = again.embeddings @ portraits.embeddings.T
    assert cosines.argmax(1).tolist() == [2, 0, 1] and cosines.amax(1).min() > 0.6


def test_a_benchmark_replaces_a_benchmark_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(benchmark_people, "COMPANIONS", 2)
    monkeypatch.setattr(benchmark_people, "SIDE_PX", 48)
    home, output = tmp_path / "home", tmp_path / "benchmark"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    frames = torch.full((2, 3, 48, 48), 90, dtype=torch.uint8)
    with pytest.raises(InvalidBenchmark, match="holds other things than a benchmark; choose another"):
        write_benchmark(home, frames, torch.tensor([3, 5]), {})
    with pytest.raises(InvalidBenchmark, match="holds other things"):
        benchmark_people.main(["--latents", str(tmp_path), "--output", str(home)])
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]
    for people in (frames, frames[:1]):
        write_benchmark(output, people, torch.tensor([3, 5])[: len(people)], {"bound": 0.5})
        assert len(load_benchmark(output).people) == len(people) == len(list((output / "people").iterdir()))
    monkeypatch.setattr(benchmark_people, "make_prompts", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_benchmark(output, frames, torch.tensor([3, 5]), {})
    (person,) = load_benchmark(output).people
    assert person.seed == 3
