"""Step 4, from people to references: five pictures of each, sharp and varied, aligned and parsed.

Of a person's usable faces, those that agree with the order and look here, each fifth of the time gives its
sharpest: five moments that differ as much as the clip allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from concat_id.references.faces import align_face
from concat_id.references.parsing import Parser
from concat_id.references.prepare import MASKED_LABELS, MIN_KEPT_SHARE
from train.curation.filters import FACES_PER_TRACK
from train.curation.head_pose import estimate_pose
from train.curation.people import People
from train.curation.rules import ReferenceRules
from train.curation.sightings import Sightings
from train.curation.verdicts import Reason

# Side of the crop whose sharpness is measured: a face with fewer pixels is less sharp there, as it should
# be.
SHARPNESS_PX = 112


@dataclass(frozen=True, eq=False)
class Usable:
    """Which faces may serve, and why the others may not.

    Attributes:
        usable: (N,) bool.
        sharpness: variance of the Laplacian of the aligned face, brightness 0 to 255; 0 where not usable,
            (N,).
        pose: yaw, pitch, roll, degrees, (N, 3).
        reasons: by person, how many of the faces were refused for what, P.
    """

    usable: np.ndarray
    sharpness: np.ndarray
    pose: np.ndarray
    reasons: list[dict[Reason, int]]


@dataclass(frozen=True, eq=False)
class Stored:
    """One reference picture.

    Attributes:
        crop: aligned, RGB, not masked.
        mask: what is the person's own, (S, S) bool.
        masked: whether the mask is to be used; where too little is left the parser is taken to have failed.
    """

    crop: Image.Image
    mask: np.ndarray
    masked: bool


def judge_faces(
    frames: Sequence[np.ndarray], seen: Sightings, people: People, rules: ReferenceRules
) -> Usable:
    """Look at every face of a clip's frames, (H, W, 3) uint8 each."""
    pose = estimate_pose(seen.landmarks)
    turned = np.abs(pose[:, 0]) > rules.max_yaw_deg
    usable = people.fits_order & ~turned
    sharpness = np.zeros(len(usable), np.float32)
    for face in np.flatnonzero(usable):
        sharpness[face] = measure_sharpness(frames[seen.frame[face]], seen.landmarks[face])
    reasons: list[dict[Reason, int]] = []
    for who in range(people.count):
        own = people.person == who
        counts: dict[Reason, int] = {
            "contradicts the order": int((own & ~people.fits_order).sum()),
            "turned away": int((own & people.fits_order & turned).sum()),
        }
        reasons.append({reason: count for reason, count in counts.items() if count})
    return Usable(usable, sharpness, pose, reasons)


def choose_sharp_and_varied(faces: np.ndarray, sharpness: np.ndarray) -> np.ndarray:
    """The sharpest of each fifth of the time, or all there are, in order of time.

    Args:
        faces: numbers of one person's usable faces in order of time, (M,).
        sharpness: of all the clip's faces, (N,).
    """
    parts = np.array_split(faces, FACES_PER_TRACK)
    return np.array([part[np.argmax(sharpness[part])] for part in parts if len(part)], np.int64)


def store_reference(
    frame: np.ndarray, landmarks: np.ndarray, parser: Parser, rules: ReferenceRules
) -> Stored:
    """Align and parse one face, as a user's reference is prepared (`concat_id.references`)."""
    crop = align_face(frame, landmarks, rules.crop_px)
    mask = ~np.isin(parser.parse(crop), MASKED_LABELS)
    return Stored(crop, mask, bool(mask.mean() >= MIN_KEPT_SHARE))


def measure_sharpness(frame: np.ndarray, landmarks: np.ndarray) -> float:
    """Variance of the Laplacian of an aligned face (Pech-Pacheco et al., 2000)."""
    crop = np.asarray(align_face(frame, landmarks, SHARPNESS_PX))
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
