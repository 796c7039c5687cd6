"""Encoding a dataset before training: the same batches, nothing twice, nothing half."""

from __future__ import annotations

import operator
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from test_curation_engine import digest
from toys import TEXT_DIM

import train.curation.encoding
from concat_id import ConcatIDCogVideoXPipeline, ConcatIDWanPipeline
from concat_id.errors import InputError
from train.curation.__main__ import main
from train.curation.encoder import (
    Caption,
    ClipVersion,
    Encoder,
    ReferenceVersion,
    UnknownModel,
    tag_encodings,
)
from train.curation.encoding import EncodeShards, encode_dataset
from train.curation.encodings import Encodings
from train.curation.training_clips import Format, decode_clip, read_examples
from train.transformer.curated_data import PairBatches, PairsDataModule

SMALL = Format(num_frames=5, fps=4, height=32, width=32)


@pytest.fixture(scope="module", autouse=True)
def small_shards() -> None:
    """So that the small dataset has several of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            train.curation.encoding, "ITEMS_PER_SHARD", {"captions": 2, "references": 8, "clips": 3}
        )
        yield


@pytest.fixture(scope="module")
def encoded(dataset: Path, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was encoded undisturbed; nobody may change it."""
    copied = shutil.copytree(dataset, tmp_path_factory.mktemp("encoded") / "dataset")
    encode_dataset(copied, toy_folder, shape=SMALL, workers=0)
    return copied


def copy(encoded: Path, target: Path) -> Path:
    return Path(shutil.copytree(encoded, target / "dataset"))


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the kind of each item that is encoded is written down."""
    encode, kinds = Encoder.encode, []

    def note(self: Encoder, item: object) -> torch.Tensor:
        kinds.append(item.kind)
        return encode(self, item)

    monkeypatch.setattr(Encoder, "encode", note)
    return kinds


@pytest.mark.parametrize("pairs", ["pre_training", "cross_video"])
def test_batches_from_the_shards_are_those_encoded_in_the_step(
    dataset: Path, encoded: Path, toy_folder: Path, pairs: str
) -> None:
    stored, made = (
        PairBatches(PairsDataModule(str(folder), str(toy_folder), pairs, shape=SMALL))
        for folder in (encoded, dataset)
    )
    assert isinstance(stored.encoder, Encodings) and isinstance(made.encoder, Encoder)
    for people, group in stored.groups.items():
        batches = [
            batches.draw(batches.groups[people][:3], torch.Generator().manual_seed(4))
            for batches in (stored, made)
        ]
        assert len(group) and batches[0].keys() == batches[1].keys()
        for name, value in batches[0].items():
            same = torch.equal if torch.is_tensor(value) else operator.eq
            assert same(value, batches[1][name]), name


def test_what_is_encoded_is_what_the_pipeline_makes(dataset: Path, toy_folder: Path) -> None:
    pipeline = ConcatIDWanPipeline.from_pretrained(toy_folder)
    encoder = Encoder(toy_folder, dataset, SMALL)
    pipeline.to(encoder.pipeline.vae.dtype)
    example = read_examples(dataset, "pre_training", SMALL)[0]
    frames = decode_clip(example.span, SMALL, 0.5)
    clip = encoder.encode(ClipVersion(example.span, 0))
    with torch.no_grad():
        expected = pipeline.vae.encode(frames[None].to(pipeline.vae.dtype)).latent_dist.mode()[0]
    torch.testing.assert_close(clip, expected.half())
    assert not torch.equal(clip, encoder.encode(ClipVersion(example.span, 1)))
    picture, mask = example.references[0][0]
    noisy = [encoder.encode(ReferenceVersion(picture, mask, version)) for version in (0, 1)]
    assert noisy[0].shape == (4, 4, 4) and not torch.equal(*noisy)
    plain = pipeline.encode_references([[Image.open(dataset / picture)]], 32, 32)[0, :, 0].float()
    with_all = encoder.encode(ReferenceVersion(picture, None, 0)).float()
    assert torch.corrcoef(torch.stack([with_all.flatten(), plain.flatten()]))[0, 1] > 0.9
    embeds = encoder.encode(Caption("a woman waves"))
    torch.testing.assert_close(embeds, pipeline.encode_prompt("a woman waves")[0].bfloat16())


def test_a_model_on_cogvideox_is_encoded_likewise(
    dataset: Path, toy_cogvideox_folder: Path, tmp_path: Path
) -> None:
    shape, copied = Format(num_frames=9, fps=8, height=32, width=32), copy(dataset, tmp_path)
    counts = encode_dataset(copied, toy_cogvideox_folder, shape=shape, versions=1, workers=0)
    stored = Encodings(copied, tag_encodings(toy_cogvideox_folder, shape))
    assert len(stored.shard_of) == sum(counts.values()) and min(counts.values()) > 1
    assert stored.encode(Caption("")).shape == (32, TEXT_DIM) and not stored.encode(Caption("")).any()
    example = read_examples(copied, "pre_training", shape)[0]
    assert stored.encode(ClipVersion(example.span, 0)).shape == (4, 3, 4, 4)
    pipeline = ConcatIDCogVideoXPipeline.from_pretrained(toy_cogvideox_folder)
    embeds = stored.encode(Caption(example.caption)).float()
    torch.testing.assert_close(embeds, pipeline.encode_prompt(example.caption)[0], atol=5e-2, rtol=5e-2)


def test_a_run_that_was_broken_off_goes_on_and_ends_as_an_undisturbed_one(
    encoded: Path, dataset: Path, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, write, written = copy(dataset, tmp_path), EncodeShards.write, []

    def break_off(self: EncodeShards, items: list) -> int:
        if len(written) == 5:
            (copied / "encoded/clips").mkdir(exist_ok=True)
            raise KeyboardInterrupt
        written.append(write(self, items))
        return written[-1]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(EncodeShards, "write", break_off)
        encode_dataset(copied, toy_folder, shape=SMALL, workers=0)
    tag = tag_encodings(toy_folder, SMALL)["captions"]
    (copied / f"encoded/captions/{tag}/.0123.part").write_text("half")
    shard = next((copied / f"encoded/captions/{tag}").glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-40])  # a disk forgot its end
    encode_dataset(copied, toy_folder, shape=SMALL, workers=0)
    assert digest(copied) == digest(encoded)


def test_only_what_settings_affect_is_encoded_again(
    encoded: Path, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, kinds = copy(encoded, tmp_path), count_writes(monkeypatch)
    encode_dataset(copied, toy_folder, shape=SMALL, workers=1)  # would start Ray if anything were missing
    assert not kinds and digest(copied) == digest(encoded)
    encode_dataset(copied, toy_folder, shape=Format(num_frames=5, fps=3, height=32, width=32), workers=0)
    assert set(kinds) == {"clips"}
    assert {path.parent.name for path in (copied / "encoded/clips").glob("*/*")} == {
        tag_encodings(toy_folder, Format(5, 3, 32, 32))["clips"]
    }
    kinds.clear()
    encode_dataset(copied, toy_folder, shape=Format(5, 3, 32, 32), versions=3, workers=0)
    rows = pq.read_table(copied / "encoded/index.parquet").to_pydict()["kind"]
    assert kinds.count("clips") == rows.count("clips") / 3 and "captions" not in kinds
    other = Path(shutil.copytree(toy_folder, tmp_path / "other"))
    (other / "text_encoder/config.json").write_text((other / "text_encoder/config.json").read_text() + " ")
    kinds.clear()
    encode_dataset(copied, other, shape=Format(5, 3, 32, 32), versions=3, workers=0)
    assert set(kinds) == {"captions"}


def test_shards_of_other_settings_are_not_trained_from(
    encoded: Path, toy_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for more in ({"versions": 3}, {"shape": Format(5, 4, 32, 40)}):
        module = PairsDataModule(str(encoded), str(toy_folder), **{"shape": SMALL, **more})
        assert isinstance(PairBatches(module).encoder, Encoder)
        assert "`python -m train.curation encode` does it once" in caplog.text
        caplog.clear()


def test_the_command_says_what_is_wrong(encoded: Path, toy_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no dataset; make it with"):
        main(["encode", "--dataset", str(tmp_path), "--model", str(toy_folder)])
    with pytest.raises(UnknownModel, match="is no pipeline's folder; `python -m concat_id convert`"):
        encode_dataset(encoded, tmp_path, shape=SMALL)
    with pytest.raises(InputError, match="versions is 0, but must be 1 or more"):
        encode_dataset(encoded, toy_folder, shape=SMALL, versions=0)


@pytest.mark.slow
def test_workers_on_ray_write_the_same_shards(
    encoded: Path, dataset: Path, toy_folder: Path, tmp_path: Path
) -> None:
    copied = copy(dataset, tmp_path)
    encode_dataset(copied, toy_folder, shape=SMALL, workers=2)
    assert digest(copied) == digest(encoded)
