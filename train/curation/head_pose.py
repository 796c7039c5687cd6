"""How a head is turned, from five landmarks alone: enough to tell a profile from a face that looks here."""

from __future__ import annotations

import numpy as np

# How far the tip of the nose stands out before the eyes, as a share of their distance (adults' mean).
NOSE_DEPTH = 0.55
# Where between the eyes' and the mouth's level the nose lies in a face that looks straight at the camera.
FRONTAL_NOSE = 0.57


def estimate_pose(landmarks: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll in degrees, (N, 3): positive to the picture's right, down, and clockwise.

    The eyes turn by the cosine and the nose before them by the sine of the angle, so that their quotient is
    its tangent; the same holds up and down between the eyes and the mouth.

    Args:
        landmarks: eyes, nose, mouth corners, the picture's left first, (N, 5, 2) px.
    """
    left, right, nose, mouth_left, mouth_right = np.moveaxis(landmarks.astype(np.float64), 1, 0)
    across = right - left
    roll = np.arctan2(across[:, 1], across[:, 0])
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    width = np.linalg.norm(across, axis=1).clip(min=1e-6)
    right_hand = across / width[:, None]
    down = np.stack([-right_hand[:, 1], right_hand[:, 0]], 1)
    offset = ((nose - (eyes + mouth) / 2) * right_hand).sum(1)
    height = ((mouth - eyes) * down).sum(1).clip(min=1e-6)
    drop = ((nose - eyes) * down).sum(1) - FRONTAL_NOSE * height
    yaw = np.arctan2(offset, NOSE_DEPTH * width)
    pitch = np.arctan2(drop, NOSE_DEPTH * height)
    return np.degrees(np.stack([yaw, pitch, roll], 1))
