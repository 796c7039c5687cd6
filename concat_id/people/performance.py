"""What a person does: expression, head pose, gaze and gestures as tracks over time.

An expression is there from the first frame to the last, and a movement always runs in the same way: what the
words of a caption do not tell is left to chance in the ranges of `World` only. Nothing moves back and forth
more than three times in a clip: of what changes much faster than the four frames of one latent, a small
autoencoder keeps a blur.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from concat_id.people.columns import Columns
from concat_id.people.dice import Dice, pick
from concat_id.people.world import WORLD

EXPRESSIONS = (
    "neutral", "smiling", "laughing", "sad", "angry", "surprised", "winking", "eyes closed", "talking",
    "kissing",
)  # fmt: skip
MOTIONS = (
    "still", "nodding", "shaking head", "turning left", "turning right", "swaying", "waving", "tilting head",
    "looking up", "looking down", "leaning in",
)  # fmt: skip

# left eye, right eye, squint, brows up, brows' slant, smile, mouth open, mouth width, teeth, mouth round
SHAPES: dict[str, tuple[float, ...]] = {
    "neutral": (1.0, 1.0, 0.0, 0.0, 0.0, 0.18, 0.0, 1.0, 0.0, 0.0),
    "smiling": (1.0, 1.0, 0.35, 0.2, 0.0, 0.95, 0.22, 1.15, 1.0, 0.0),
    "laughing": (0.30, 0.30, 0.9, 0.45, 0.0, 1.0, 0.95, 1.15, 1.0, 0.0),
    "sad": (0.62, 0.62, 0.0, 0.35, 1.6, -1.15, 0.0, 0.8, 0.0, 0.0),
    "angry": (0.70, 0.70, 0.35, -0.9, -1.7, -0.65, 0.30, 1.0, 1.0, 0.0),
    "surprised": (1.25, 1.25, 0.0, 1.1, 0.1, 0.0, 0.9, 0.55, 0.0, 1.0),
    "winking": (0.0, 1.0, 0.25, 0.15, 0.0, 0.85, 0.15, 1.05, 1.0, 0.0),
    "eyes closed": (0.0, 0.0, 0.1, 0.0, 0.1, 0.35, 0.0, 0.95, 0.0, 0.0),
    "talking": (1.0, 1.0, 0.1, 0.15, 0.0, 0.25, 0.35, 0.9, 1.0, 0.3),
    "kissing": (0.45, 0.45, 0.1, 0.1, 0.2, 0.0, 0.16, 0.34, 0.0, 1.0),
}


@dataclass(frozen=True)
class Performance(Columns):
    """Tracks over time, (B, T, P) each; angles in radians, positive yaw towards the image's right."""

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    shift_x: Tensor
    shift_y: Tensor
    zoom: Tensor
    gaze_x: Tensor
    gaze_y: Tensor
    waving: Tensor
    wave_side: Tensor
    wave_angle: Tensor
    # the face's shape, in the order of SHAPES
    left_eye: Tensor
    right_eye: Tensor
    squint: Tensor
    brows_up: Tensor
    brow_slant: Tensor
    smile: Tensor
    mouth_open: Tensor
    mouth_stretch: Tensor
    teeth: Tensor
    mouth_round: Tensor

    def at_frames(self, person: int) -> Self:
        """One person of every clip, frame by frame: (B * T, 1, 1, 1)."""
        return self.apply(lambda value: value[:, :, person].reshape(-1, 1, 1, 1))


def smoothstep(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """0 below low, 1 above high, smooth between; falling where low > high."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def perform(seeds: Tensor, expression: Tensor, motion: Tensor, num_frames: int, spread: float) -> Performance:
    """Tracks for people with these seeds, expressions and motions, (B, P) int64 each.

    Args:
        spread: how far the resting pose may turn from the camera; 1 is right for video.
    """
    dice = Dice(seeds, "performance")
    if num_frames == 1:
        t = dice.uniform("moment", 0.3, 1.0).unsqueeze(1)  # (B, 1, P)
    else:
        t = (
            torch.linspace(0, 1, num_frames, device=seeds.device)
            .view(1, -1, 1)
            .expand(len(seeds), -1, seeds.shape[1])
        )
    pose = _move(dice, motion, t, spread)
    face = _express(expression, t)
    laugh = (expression == EXPRESSIONS.index("laughing")).float().unsqueeze(1)
    pose["shift_y"] = pose["shift_y"] + laugh * 0.025 * torch.sin(1.5 * math.tau * t).abs()
    pose["pitch"] = pose["pitch"] - 0.08 * laugh
    return Performance(**pose, **face).apply(lambda track: track.expand_as(t))


def _move(dice: Dice, motion: Tensor, t: Tensor, spread: float) -> dict[str, Tensor]:
    """Pose tracks, (B, T, P)."""

    def draw(name: str, low: float, high: float) -> Tensor:
        return dice.uniform(name, low, high).unsqueeze(1)

    def during(name: str) -> Tensor:
        return (motion == MOTIONS.index(name)).float().unsqueeze(1)

    turning = during("turning right") - during("turning left")
    up, down = during("looking up"), during("looking down")
    beat = torch.sin(0.8 * math.tau * t)
    yaw = (
        spread * draw("yaw", -WORLD.yaw, WORLD.yaw) * (1 - 0.7 * during("shaking head")) * (1 - turning.abs())
    )
    yaw = (
        yaw
        + 0.03 * torch.sin(math.tau * t)
        + turning * (-0.12 + 0.74 * smoothstep(0.05, 0.9, t))
        + during("shaking head") * 0.24 * torch.sin(math.tau * t)
    )
    pitch = spread * draw("pitch", -WORLD.pitch, WORLD.pitch) * (1 - up - down) + 0.02 * torch.sin(5 * t)
    pitch = pitch + during("nodding") * 0.16 * torch.sin(math.tau * t)
    pitch = pitch + up * (0.05 - 0.36 * smoothstep(0, 0.8, t)) + down * (-0.05 + 0.36 * smoothstep(0, 0.8, t))
    roll = spread * draw("roll", -WORLD.roll, WORLD.roll) + during("swaying") * 0.17 * beat
    roll = roll + during("tilting head") * 0.32 * smoothstep(0, 0.7, t)
    lean = during("leaning in")
    return {
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "shift_x": during("swaying") * 0.09 * beat,
        "shift_y": 0.01 * torch.sin(math.tau * t) - 0.05 * lean * t,
        "zoom": 1 + 0.20 * lean * smoothstep(0, 1, t),
        "gaze_x": draw("gaze_x", -WORLD.gaze, WORLD.gaze) + 0.5 * turning * t,
        "gaze_y": draw("gaze_y", -WORLD.gaze / 2, WORLD.gaze / 2) + (up - down) * 0.5 * t,
        "waving": during("waving").expand_as(t),
        "wave_side": dice.sign("side").unsqueeze(1).expand_as(t),
        "wave_angle": 0.02 + 0.24 * torch.sin(1.2 * math.tau * t),
    }


def _express(expression: Tensor, t: Tensor) -> dict[str, Tensor]:
    """The face's shape over time, (B, T, P) each."""
    names = (
        "left_eye",
        "right_eye",
        "squint",
        "brows_up",
        "brow_slant",
        "smile",
        "mouth_open",
        "mouth_stretch",
        "teeth",
        "mouth_round",
    )
    shape = pick(torch.tensor([SHAPES[name] for name in EXPRESSIONS]), expression).unsqueeze(
        1
    )  # (B, 1, P, 10)
    face = {name: value.expand_as(t) for name, value in zip(names, shape.unbind(-1), strict=True)}
    talking = (expression == EXPRESSIONS.index("talking")).unsqueeze(1)
    loudness = 0.6 + 0.4 * torch.sin(math.tau * t)
    opening = 0.12 + 0.5 * torch.sin(1.5 * math.tau * t).abs() * loudness
    face["mouth_open"] = torch.where(talking, opening, face["mouth_open"])
    face["mouth_round"] = torch.where(talking, 0.5 * torch.sin(math.tau * t).abs(), face["mouth_round"])
    return face
