"""How far the judge of whole faces agrees with the eye.

    python -m train.measure.whole_faces [--judge assets/embedded/evaluation/whole.onnx] [--sheet sheet.png]
        [--choose-threshold]

160 faces of people of the validation split, of the model's videos and of true ones through the autoencoder,
were shuffled and called whole or broken by eye. The threshold is chosen on the clips with even numbers; the
agreement on the others is what counts. The area is under the curve of right calls against false ones, over
all thresholds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from concat_id.evaluation.judges import WHOLENESS
from concat_id.evaluation.wholeness import WholenessJudge
from concat_id.files.atomic import replacing
from train.scoring.whole_face_data import read_judged
from train.transformer.gallery import contact_sheet

HELD_OUT = Path("train/scoring/judged_faces/held_out.webp")


def split_held_out(path: Path = HELD_OUT) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Judged faces, which of them are true ones, and which to choose a threshold on, (N,) bool each."""
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return read_judged(path), torch.tensor(facts["true"]) > 0, torch.tensor(facts["clip"]) % 2 == 0


def choose_threshold(probabilities: np.ndarray, whole: np.ndarray) -> float:
    """Where as large a share of the whole as of the broken faces is called right, (N,) each.

    So the judge's share of whole faces is right on the average, where half of them are.
    """
    candidates = np.unique(probabilities)
    middles = (candidates[:-1] + candidates[1:]) / 2
    gaps = [
        abs((probabilities[whole] >= middle).mean() - (probabilities[~whole] < middle).mean())
        for middle in middles
    ]
    best = np.flatnonzero(np.isclose(gaps, min(gaps)))
    return float(middles[best].mean())


def write_threshold(path: Path, threshold: float) -> None:
    """Put a threshold into a judge's file, in the place of any other."""
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"threshold": f"{threshold:.4f}"})
    with replacing(path) as unfinished:
        onnx.save(model, unfinished)


def describe_agreement(called: np.ndarray, whole: np.ndarray) -> str:
    """A line about faces, (N,) bool each."""
    return (
        f"agreement {100 * (called == whole).mean():5.1f} % of {len(whole):3d}   "
        f"whole ones called whole {called[whole].sum():2d} of {whole.sum():2d}   "
        f"broken ones called broken {(~called[~whole]).sum():2d} of {(~whole).sum():2d}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judge", type=Path, default=WHOLENESS)
    parser.add_argument("--sheet", type=Path, help="write the faces on which judge and eye differ, as PNG")
    parser.add_argument("--choose-threshold", action="store_true", help="anew, and write it to the judge")
    options = parser.parse_args(arguments)
    judge = WholenessJudge(options.judge)
    judged, true, chosen = split_held_out()
    whole = judged["whole"].numpy() > 0
    probabilities = judge.judge(judged["crops"].permute(0, 2, 3, 1).numpy())
    if options.choose_threshold:
        judge.threshold = choose_threshold(probabilities[chosen], whole[chosen])
        write_threshold(options.judge, judge.threshold)
        print(f"threshold              {judge.threshold:.4f}")
    called = probabilities >= judge.threshold
    for name, rows in (("half of the threshold", chosen), ("other half", ~chosen)):
        print(f"{name:22s} {describe_agreement(called[rows], whole[rows])}")
    for name, rows in (("true, autoencoder", true), ("made by the model", ~true)):
        share, eye = 100 * called[rows].mean(), 100 * whole[rows].mean()
        print(f"{name:22s} whole: judge {share:.0f} %, eye {eye:.0f} %, {int(rows.sum())} faces")
    areas = [
        binary_auroc(torch.from_numpy(probabilities[rows]), judged["whole"][rows].long())
        for rows in (slice(None), ~true)
    ]
    print(f"area under the curve   all {areas[0]:.3f}, the model's alone {areas[1]:.3f}")
    if options.sheet:
        differing = judged["crops"][torch.from_numpy(called != whole)].float() / 255
        contact_sheet(list(differing.split(8))[: len(differing) // 8]).save(options.sheet)


if __name__ == "__main__":
    main()
