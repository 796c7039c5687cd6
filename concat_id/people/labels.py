"""The label numbers of the truth, in the palette of the face parser `jonathandinu/face-parsing`.

Left and right are the picture's, as in that palette's pictures.
"""

from __future__ import annotations

BACKGROUND = 0
SKIN = 1
LEFT_EYE = 4
RIGHT_EYE = 5
MOUTH = 10
HAIR = 13
HAT = 14
NECK = 17
CLOTH = 18

HEAD_LABELS = (SKIN, LEFT_EYE, RIGHT_EYE, MOUTH, HAIR)
FACE_LABELS = (SKIN, LEFT_EYE, RIGHT_EYE, MOUTH)
