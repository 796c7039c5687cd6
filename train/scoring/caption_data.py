"""Training batches of the CLIP: pictures and captions, people's garments and places alone and with them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTokenizer

from concat_id.people.labels import CLOTH
from train.perception.data import OnePerson, widen
from train.perception.picture_cache import FRAMES_PER_SCENE, Pictures, write_chunk_captions
from train.pictures.alignment import align_faces
from train.pictures.cut_outs import cut_out, fill_in, hide_people, roughen
from train.pictures.degradation import Degradation
from train.scoring.clip import INPUT_SIZE as CLIP_SIZE
from train.scoring.clip import TOKENIZER, train_tokenizer
from train.scoring.companion_cache import Companions, load_companions

# Of the garments, and of the places, in a batch for CLIP: all of one kind, and so hard to tell apart.
ALIKE_SHARE = 0.5


class CaptionData(OnePerson):
    """For CLIP: whole pictures, faces and captions, garments alone and worn, places without and with people.

    `faces` are from other moments of the scenes of `frames`, `captions` are these scenes'. Independently
    drawn are `garments` and the same as `worn`, `places` and the same as `seen` around people.

    Args:
        companions: how many garments, and places, a batch holds.
        tokenizer: a folder with the tokenizer; it is made from the captions if there is none.
    """

    # A garment's and a place's colours tell them apart from others of their kind.
    companion_degradation = Degradation(
        brightness=0.06, contrast=0.12, saturation=0.12, tint=0.04, softness=4.0, noise=0.04, compression=0
    )

    def __init__(
        self,
        folder: str = ".train/perception",
        num_chunks: int = 40,
        num_validation_chunks: int = 1,
        batch_size: int = 32,
        validation_batches: int = 8,
        seed: int = 0,
        companions: int = 32,
        tokenizer: str = str(TOKENIZER),
    ) -> None:
        super().__init__(folder, num_chunks, num_validation_chunks, batch_size, validation_batches, seed)
        self.companions, self.tokenizer_folder = companions, Path(tokenizer)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.train_captions = write_chunk_captions("train", self.num_chunks)
        self.validation_captions = write_chunk_captions("validation", self.num_validation_chunks)
        self.train_companions = load_companions(self.folder, "train", self.num_chunks)
        self.validation_companions = load_companions(self.folder, "validation", self.num_validation_chunks)
        if not (self.tokenizer_folder / "tokenizer.json").is_file():
            train_tokenizer(list(self.train_captions.values())).save_pretrained(self.tokenizer_folder)
        self.tokenizer = CLIPTokenizer.from_pretrained(self.tokenizer_folder)

    def make_batch(self, pictures: Pictures, generator: torch.Generator) -> dict[str, Tensor]:
        if pictures is self.train_pictures:
            captions, companions = self.train_captions, self.train_companions
        else:
            captions, companions = self.validation_captions, self.validation_companions
        return {
            **self.make_scenes(pictures, captions, generator),
            **self.make_garments(pictures, companions, generator),
            **self.make_places(pictures, companions, generator),
        }

    def make_scenes(
        self, pictures: Pictures, captions: dict[int, str], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """A whole picture, a face from another moment of its scene, and the scene's caption."""
        index = torch.randint(len(pictures), (self.batch_size,), generator=generator)
        other = _other_moment(pictures.scenes, index)
        frames = pictures.frames[index].float() / 255
        faces = pictures.rows(other)
        factor = torch.empty(len(index), 1, 1).uniform_(0.95, 1.3, generator=generator)
        landmarks = widen(self.jitter(faces.landmarks[:, 0], generator, 0.03), factor)
        crops = align_faces(faces.frames.float() / 255, landmarks, 2 * CLIP_SIZE)
        texts = [captions[scene] for scene in faces.scenes.tolist()]
        tokens = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return {
            "frames": F.interpolate(self.degradation(frames, generator), (CLIP_SIZE, CLIP_SIZE), mode="area"),
            "faces": F.interpolate(self.degradation(crops, generator), (CLIP_SIZE, CLIP_SIZE), mode="area"),
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
        }

    def make_garments(
        self, pictures: Pictures, companions: Companions, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """`garments` from the front and the same `worn`, cut out onto black."""
        drawn = companions.rows(draw_alike(companions.garment_kinds, self.companions, generator))
        filmed = pictures.rows(_one_moment(pictures.scenes, drawn.scenes, generator))
        garments = self.companion_degradation(drawn.garments.float() / 255, generator)
        frames = self.companion_degradation(filmed.frames.float() / 255, generator)
        return {
            "garments": cut_out(garments, roughen(drawn.cloth, generator), CLIP_SIZE),
            "worn": cut_out(frames, roughen(filmed.labels == CLOTH, generator), CLIP_SIZE),
        }

    def make_places(
        self, pictures: Pictures, companions: Companions, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """`places` and the same `seen` in frames, in both of which somebody's silhouette is filled in."""
        drawn = companions.rows(draw_alike(companions.place_kinds, self.companions, generator))
        filmed = pictures.rows(_one_moment(pictures.scenes, drawn.scenes, generator))
        people = hide_people(filmed.labels)
        places = self.companion_degradation(drawn.places.float() / 255, generator)
        frames = self.companion_degradation(filmed.frames.float() / 255, generator)
        # With its own frame's silhouette in each place, that would tell which belong together.
        filled = {"places": fill_in(places, people.roll(1, 0)), "seen": fill_in(frames, people)}
        return {
            name: F.interpolate(part, (CLIP_SIZE, CLIP_SIZE), mode="area") for name, part in filled.items()
        }


def draw_alike(kinds: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The numbers of `count` rows without repetition, half of them of one kind.

    Args:
        kinds: (N,) int64.
    """
    order = torch.randperm(len(kinds), generator=generator)
    alike = order[kinds[order] == kinds[order[0]]][: round(ALIKE_SHARE * count)]
    others = order[~torch.isin(order, alike)][: count - len(alike)]
    return torch.cat([alike, others])


def _one_moment(all_scenes: Tensor, scenes: Tensor, generator: torch.Generator) -> Tensor:
    """The numbers of pictures of these scenes (B,), among pictures of all scenes (N,), in order."""
    moment = torch.randint(FRAMES_PER_SCENE, (len(scenes),), generator=generator)
    return torch.searchsorted(all_scenes, scenes) + moment


def _other_moment(scenes: Tensor, index: Tensor) -> Tensor:
    """The numbers of other pictures of the same scenes, or the same number where there is none."""
    for neighbour in (index + 1, index - 1):
        neighbour = neighbour.clamp(0, len(scenes) - 1)
        if (fits := scenes[neighbour] == scenes[index]).any():
            index = torch.where(fits & (neighbour != index), neighbour, index)
    return index
