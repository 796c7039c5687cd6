"""How surely the face pack's recogniser tells people apart whom it has never seen.

    python -m train.measure.recognizer [--pack assets/embedded/face_pack]

Pairs are pictures of different scenes of the test split: other expression, pose, outfit, light and place.
Prints the share of pairs of one person accepted at the threshold that accepts one pair of different people
in a thousand; with true landmarks, and with the pack's own detector before the recogniser (a face not found
counts as rejected).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from concat_id.references.faces import FaceFinder
from concat_id.references.onnx_sessions import open_onnx
from train.perception.picture_cache import Pictures, load_pictures
from train.pictures.alignment import align_faces
from train.pictures.degradation import Degradation

FALSE_ACCEPTS = 1e-3


def embed_aligned(recognizer: Path, pictures: Pictures) -> Tensor:
    """Unit embeddings (N, D) with true landmarks."""
    session = open_onnx(recognizer)
    crops = align_faces(pictures.frames.float() / 255, pictures.landmarks[:, 0]) * 2 - 1
    outputs = [session.run(None, {session.get_inputs()[0].name: part.numpy()})[0] for part in crops.split(32)]
    return F.normalize(torch.from_numpy(np.concatenate(outputs)))


def embed_detected(finder: FaceFinder, frames: Tensor) -> Tensor:
    """Unit embeddings (N, D) of the largest face found; zero where none is."""
    pixels = (frames.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    faces = [finder.find_largest(frame) for frame in pixels]
    size = next(len(face.embedding) for face in faces if face is not None)
    missing = np.zeros(size, np.float32)
    return torch.from_numpy(np.stack([missing if face is None else face.embedding for face in faces]))


def true_accepts(embeddings: Tensor, identities: Tensor, scenes: Tensor) -> dict[str, float]:
    """Shares and means over all pairs of pictures from different scenes."""
    similarity = embeddings @ embeddings.T
    pairs = torch.ones_like(similarity, dtype=torch.bool).triu(1) & (scenes[:, None] != scenes)
    same = identities[:, None] == identities
    own, others = similarity[pairs & same], similarity[pairs & ~same].double()
    threshold = others.sort().values[-max(1, int(len(others) * FALSE_ACCEPTS))].float()
    return {
        "accepted": (own > threshold).float().mean().item(),
        "threshold": threshold.item(),
        "same": own.mean().item(),
        "others": others.mean().item(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", type=Path, default=Path("assets/embedded/face_pack"))
    parser.add_argument("--cache", type=Path, default=Path(".train/perception"))
    options = parser.parse_args(arguments)
    finder = FaceFinder(options.pack)
    pictures = load_pictures(options.cache, "test", 2).of_one_person()
    frames = pictures.frames.float() / 255
    generator = torch.Generator().manual_seed(0)
    soft = torch.cat([Degradation()(part, generator) for part in frames.split(8)])
    kinds = {
        "true landmarks": embed_aligned(options.pack / "rec.onnx", pictures),
        "detected": embed_detected(finder, frames),
        "detected, soft": embed_detected(finder, soft),
    }
    print(f"{pictures.identities[:, 0].unique().numel()} people, {len(pictures)} pictures")
    for kind, embeddings in kinds.items():
        figures = true_accepts(embeddings, pictures.identities[:, 0], pictures.scenes)
        accepted = f"{100 * figures['accepted']:.2f} % true accepts at {FALSE_ACCEPTS:g} false accepts"
        means = ", ".join(f"{name} {figures[name]:.3f}" for name in ("threshold", "same", "others"))
        print(f"{kind:>15}: {accepted} ({means})")


if __name__ == "__main__":
    main()
