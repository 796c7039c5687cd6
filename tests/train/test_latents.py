"""Stored latents: what a rendered shard holds, and how batches are drawn from shards."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toy_latents import CANDIDATES, CLIPS, SIDE, write_toy_shard

import train.footage.latents
import train.footage.synthetic_footage
from concat_id.people import sample_takes
from train.autoencoder.autoencoder import build_autoencoder
from train.curation.mining import PAIR_KINDS
from train.curation.recognition import FaceEmbedder
from train.footage.latents import Plan, make_shard, pool_faces
from train.footage.synthetic_footage import film, sample_moments, see_faces
from train.pictures.alignment import ARCFACE_POINTS
from train.pictures.reference_pictures import add_reference_noise, prepare_garments, prepare_references
from train.transformer.latent_data import LatentBatches, LatentData, LatentFolder, LatentPairs, Source

FACE_PACK = Path("assets/embedded/face_pack")


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is rendered at a quarter of its size."""
    monkeypatch.setattr(train.footage.latents, "SIZE", 32)
    monkeypatch.setattr(train.footage.synthetic_footage, "SHARP_SIZES", {1: 64, 2: 96, 3: 96})


@pytest.fixture(scope="module")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders "one" and "two" of toy latents, two shards each."""
    folder = tmp_path_factory.mktemp("latents")
    for name, people in (("one", 1), ("two", 2)):
        for index in range(2):
            write_toy_shard(folder / name / f"{index:05d}.safetensors", people=people, latent_frames=2)
    return folder


def pairs_of(folder: Path, **options: object) -> LatentPairs:
    """One source's clips."""
    return LatentPairs(Source(str(folder), 4, **options), LatentFolder(folder))


@pytest.mark.parametrize("people", [1, 2])
def test_a_shard_holds_clips_their_pictures_and_who_serves_whom(
    small_pictures: None, tmp_path: Path, people: int
) -> None:
    torch.manual_seed(0)
    vae, embedder = build_autoencoder(), FaceEmbedder(FACE_PACK)
    plan = Plan(frames=5, people=people, clips_per_person=2, references=2)
    make_shard(vae, embedder, tmp_path / "00000.safetensors", plan, seed=3, clips=4)
    shard = load_file(tmp_path / "00000.safetensors")
    assert not list(tmp_path.glob("*.partial"))
    num_clips = len(shard["latents"])
    assert 2 <= num_clips <= 4
    assert shard["latents"].shape == (num_clips, 24, 2, 4, 4)
    assert shard["faces"].shape == (num_clips, 2, 4, 4) and shard["faces"].any()
    assert ("garments" in shard) == (people == 1)
    assert all(shard[f"pairs.{kind}"].shape == (num_clips, people, 5) for kind in PAIR_KINDS)
    numbers = torch.cat([table.flatten() for name, table in shard.items() if table.dtype == torch.int32])
    assert numbers.max() == len(shard["pictures"]) - 1 and numbers.min() == -1
    own, crossed = shard["pairs.pre_training"], shard["pairs.cross_video"]
    assert (crossed >= 0).any()
    for clip in range(num_clips):
        assert not set(own[clip].flatten().tolist()) & set(crossed[clip].flatten().tolist()) - {-1}
    with safe_open(tmp_path / "00000.safetensors", "pt") as file:
        captions, cast = (json.loads(file.metadata()[name]) for name in ("captions", "people"))
    filmed = sample_takes(3, 4, clips_per_person=2, num_people=people).identity_seeds
    assert cast == filmed.unique().tolist()
    assert sorted(captions) == sorted({"+".join(given) for given in plan.givens})
    assert all(len(texts) == num_clips for texts in captions.values())


def test_clips_with_one_take_have_pre_training_pairs_only(small_pictures: None, tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae, embedder = build_autoencoder(), FaceEmbedder(FACE_PACK)
    plan = Plan(frames=1, references=2, split="validation")
    for name in ("00000.safetensors", "again"):
        make_shard(vae, embedder, tmp_path / name, plan, seed=0, clips=3)
    shard, again = load_file(tmp_path / "00000.safetensors"), load_file(tmp_path / "again")
    assert all(torch.equal(shard[name], again[name]) for name in shard)
    assert len(pairs_of(tmp_path)) >= 2
    with pytest.raises(ValueError, match="no clip of .* has cross_video"):
        pairs_of(tmp_path, pairs="cross_video")


def test_people_are_seen_from_left_to_right_whoever_they_are() -> None:
    takes = sample_takes(1, 2, clips_per_person=2, num_people=2, num_frames=3)
    moments = sample_moments(takes, 2, torch.Generator().manual_seed(0))
    assert (moments.diff(dim=1) > 0).all() and moments.max() <= 2
    seen = see_faces(film(takes, moments), FaceEmbedder(FACE_PACK), 32)
    assert (seen.face_x[..., 0] < seen.face_x[..., 1]).all()
    assert seen.found.float().mean() > 0.8 and (seen.usable <= seen.found).all()
    # In the second take of each pair the two people have changed places, and their embeddings with them.
    means = torch.nn.functional.normalize(seen.embeddings.mean(1), dim=2)
    cosines = torch.einsum("pd,qd->pq", means[0], means[1])
    assert cosines[0, 1] > cosines[0, 0] and cosines[1, 0] > cosines[1, 1]


def test_garments_are_cut_out_centred_fitted_and_mirrored() -> None:
    frames, masks = torch.full((2, 3, 40, 40), 0.5), torch.zeros(2, 40, 40, dtype=torch.bool)
    masks[:, 20:40, 5:15] = True
    frames[:, :, :, 5:10] = 0.25
    garments = prepare_garments(frames, masks, 64, torch.tensor([False, True]))
    filled = garments.amax(1) > 0.125
    assert 58 <= filled[0].any(1).sum() <= 62 and 28 <= filled[0].any(0).sum() <= 32
    columns = filled[0].any(0).nonzero()[:, 0]
    assert abs(int(columns[0]) - (63 - int(columns[-1]))) <= 1
    torch.testing.assert_close(garments[0, :, 32, 20:30], torch.full((3, 10), 0.25))
    torch.testing.assert_close(garments[1, :, 32, 34:44], torch.full((3, 10), 0.25))


def test_reference_noise_has_the_paper_s_amount_per_sample() -> None:
    noise = add_reference_noise(torch.zeros(400, 3, 8, 8), torch.Generator().manual_seed(0))
    log_sigma = noise.flatten(1).std(1).log()
    assert log_sigma.mean() == pytest.approx(-3.0, abs=0.1) and log_sigma.std() == pytest.approx(0.5, abs=0.1)


def test_faces_are_aligned_and_never_mirrored() -> None:
    frames = torch.zeros(8, 3, 112, 112)
    frames[:, 0, :, :56] = frames[:, 2, :, 56:] = 1.0
    labels = torch.ones(8, 112, 112, dtype=torch.uint8)
    faces = prepare_references(frames, labels, torch.tensor(ARCFACE_POINTS).expand(8, 5, 2), 64)
    assert faces[:, 0, :, :28].min() > 0.9 and faces[:, 2, :, 36:60].min() > 0.9


def test_references_come_as_faces_garment_background(toy_folder: Path) -> None:
    pairs = pairs_of(toy_folder / "one", roles=("face", "garment", "background"))
    batch = pairs.draw(torch.arange(2 * CLIPS), torch.Generator().manual_seed(0))
    assert batch["reference_latents"].shape == (2 * CLIPS, 24, 3, SIDE, SIDE)
    assert batch["captions"][1] == "garment+background 1" and batch["task"] == "face+garment+background"
    tables = pairs.columns
    for slot, name in enumerate(("pairs.pre_training", "garments", "backgrounds")):
        numbers = tables[name].view(2 * CLIPS, -1)
        for clip in range(2 * CLIPS):
            allowed = tables["pictures"][numbers[clip].long()].float()
            drawn = batch["reference_latents"][clip, :, slot]
            assert (allowed == drawn).flatten(1).all(1).any()


def test_one_of_the_candidates_is_drawn_at_random(toy_folder: Path) -> None:
    pairs = pairs_of(toy_folder / "one")
    batch = pairs.draw(torch.zeros(40, dtype=torch.long), torch.Generator().manual_seed(0))
    assert len(batch["reference_latents"].flatten(1).unique(dim=0)) == CANDIDATES
    assert batch["captions"] == [" 0"] * 40
    torch.testing.assert_close(batch["faces"], torch.full((40, 2, SIDE, SIDE), 0.2))


def test_missing_references_are_masked_and_clips_without_any_left_out(tmp_path: Path) -> None:
    path = tmp_path / "00000.safetensors"
    write_toy_shard(path, people=2, latent_frames=2)
    shard = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    table = shard["pairs.cross_video"]
    table[0] = -1
    table[1, 1] = -1
    table[2, :, 1:] = -1
    save_file(shard, path, metadata=metadata)
    pairs = pairs_of(tmp_path, roles=("face", "face"), pairs="cross_video")
    assert pairs.rows.tolist() == [[1], [2], [3]]
    batch = pairs.draw(torch.arange(3), torch.Generator().manual_seed(0))
    assert batch["reference_mask"].tolist() == [[1, 0], [1, 1], [1, 1]]
    assert torch.equal(batch["reference_latents"][1, :, 0], shard["pictures"][table[2, 0, 0]].float())


def test_roles_must_fit_the_order_and_the_folder(toy_folder: Path) -> None:
    with pytest.raises(ValueError, match="roles must be faces, then a garment"):
        Source("x", 1, roles=("background", "face"))
    with pytest.raises(ValueError, match="roles must be faces, then a garment"):
        Source("x", 1, roles=("garment",))
    with pytest.raises(ValueError, match="must name 2 faces"):
        pairs_of(toy_folder / "two")
    with pytest.raises(ValueError, match="garments are stored of one person only"):
        pairs_of(toy_folder / "two", roles=("face", "face", "garment"))
    with pytest.raises(FileNotFoundError, match="train.footage.latents"):
        LatentFolder(toy_folder / "none")


def test_a_batch_comes_from_one_source_and_sources_by_their_shares(toy_folder: Path) -> None:
    sources = [
        Source(str(toy_folder / "one"), 2, share=3.0),
        Source(str(toy_folder / "two"), 3, roles=("face", "face", "background")),
    ]
    torch.manual_seed(0)
    batches = iter(LatentBatches(sources, L.Trainer(accelerator="cpu", logger=False)))
    shapes = [tuple(next(batches)["reference_latents"].shape[:3:2]) for _ in range(200)]
    assert set(shapes) == {(2, 1), (3, 3)} and 130 < shapes.count((2, 1)) < 170


def test_validation_goes_through_every_source(toy_folder: Path) -> None:
    sources = [
        Source(str(toy_folder / "one"), 3),
        Source(str(toy_folder / "one"), 3, roles=("face", "background")),
    ]
    data = LatentData(sources, sources, validation_batches=2)
    tasks = [batch["task"] for batch in data.val_dataloader()]
    assert tasks == ["face", "face", "face+background", "face+background"]


def test_face_share_is_pooled_over_the_frames_of_each_latent_frame() -> None:
    masks = torch.zeros(1, 5, 16, 16, dtype=torch.bool)
    masks[:, 0] = True
    masks[:, 1:3, :8] = True
    pooled = pool_faces(masks, 2, 8)
    assert torch.equal(pooled[0, 0], torch.ones(2, 2))
    assert torch.equal(pooled[0, 1], torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
