"""How far scenes may differ in what no word and no reference tells: the less, the sooner it is learned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """Ranges of chance; angles in radians, lengths in shares of half the picture's height.

    Attributes:
        yaw, pitch, roll: how far the head at rest may turn from the camera, to either side.
        gaze: how far the eyes at rest may look aside.
        loose: how far one person may stand from the middle; several have half of it.
        zoom: by how much a head may be larger or smaller than usual.
        pan, pan_share: how far the camera may move sideways over a clip, and in how many clips it does.
        portrait: how much farther a head may turn in a reference picture than in a video.
    """

    yaw: float = 0.14
    pitch: float = 0.05
    roll: float = 0.04
    gaze: float = 0.12
    loose: float = 0.05
    zoom: float = 0.03
    pan: float = 0.10
    pan_share: float = 0.2
    portrait: float = 3.0


WORLD = World()
