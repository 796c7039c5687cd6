"""The per-frame curve of the identity score, drawn as inline SVG; a frame pointed at shows its face."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from concat_id.ui.texts import POINT_AT_A_FRAME

WIDTH, HEIGHT = 288, 132
LEFT, RIGHT, TOP, BOTTOM = 26, 6, 8, 20
# Below the curve is what the frame that is pointed at has to say.
FACE_PX, GAP = 48, 8
READING_HEIGHT = FACE_PX + 2 * GAP
# The first frame is reached by Tab, the others from there.
FOLLOW_ARROWS = (
    "const side = {ArrowLeft: 'previous', ArrowRight: 'next'}[event.key]; "
    "const neighbour = side &amp;&amp; event.target[side + 'ElementSibling']; "
    "if (neighbour?.matches('.frame')) { neighbour.focus(); event.preventDefault(); }"
)


def draw_curve(
    indices: Sequence[int], values: Sequence[float | None], faces: Sequence[Sequence[str]] = ()
) -> str:
    """Draw ArcSim over the scored frames.

    Args:
        indices: which frames of the video were scored, from 0.
        values: their scores in [0, 1], None where no face was found.
        faces: for each of them, addresses of square pictures of the faces that were compared.

    Returns:
        An `<svg>` element; a frame that is pointed at, tapped or reached by arrow keys shows its score and
        its faces.
    """
    points = [(_x(place, len(values)), value) for place, value in enumerate(values)]
    width = (WIDTH - LEFT - RIGHT) / len(values)
    frames = [
        _frame(x, width, index, value, shown, is_first=index == indices[0])
        for (x, value), index, shown in zip_longest(points, indices, faces, fillvalue=())
    ]
    parts = [*_grid(), *_runs(points), *_frame_labels(indices), _hint(), *frames]
    return (
        f'<svg class="cid-curve" viewBox="0 0 {WIDTH} {HEIGHT + READING_HEIGHT}" role="group" '
        f'aria-label="{_describe(values)}" onkeydown="{FOLLOW_ARROWS}">{"".join(parts)}</svg>'
    )


def _x(place: int, count: int) -> float:
    """Horizontal position of the place-th of count frames."""
    span = WIDTH - LEFT - RIGHT - 12
    return LEFT + 6 + span * (place / (count - 1) if count > 1 else 0.5)


def _y(value: float) -> float:
    """Vertical position of a score in [0, 1]."""
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(max(value, 0.0), 1.0))


def _grid() -> list[str]:
    """Lines and labels at 0, 0.5 and 1."""
    lines = []
    for value, label in ((0.0, "0"), (0.5, ".5"), (1.0, "1")):
        y = _y(value)
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>')
    return lines


def _runs(points: list[tuple[float, float | None]]) -> list[str]:
    """One polyline per unbroken run of frames with a face: a lost face leaves a gap."""
    runs: list[list[str]] = [[]]
    for x, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{x:.1f},{_y(value):.1f}")
    return [f'<polyline points="{" ".join(run)}"/>' for run in runs if len(run) > 1]


def _mark(x: float, value: float | None) -> str:
    """A dot for a scored frame, a cross on the base line for one without a face."""
    if value is not None:
        return f'<circle cx="{x:.1f}" cy="{_y(value):.1f}" r="2.6"/>'
    y = _y(0.0)
    return f'<path class="lost" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6"/>'


def _frame_labels(indices: Sequence[int]) -> list[str]:
    """The first and the last scored frame's number, counted from 1."""
    y = HEIGHT - 4
    first = f'<text x="{LEFT}" y="{y}">frame {indices[0] + 1}</text>'
    last = f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{indices[-1] + 1}</text>'
    return [first, last] if len(indices) > 1 else [first]


def _hint() -> str:
    """What stands below the curve until a frame is pointed at."""
    return (
        f'<text class="hint" x="{LEFT}" y="{HEIGHT + READING_HEIGHT / 2 + 4:.0f}">{POINT_AT_A_FRAME}</text>'
    )


def _frame(
    x: float, width: float, index: int, value: float | None, faces: Sequence[str], *, is_first: bool
) -> str:
    """A frame's mark and the column around it; pointed at, or tapped and so focused, it shows its reading."""
    said = "no face found" if value is None else f"ArcSim {value:.3f}"
    column = (
        f'<rect class="target" x="{x - width / 2:.1f}" y="{TOP}" width="{width:.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
    )
    tab = 0 if is_first else -1
    return (
        f'<g class="frame" tabindex="{tab}" role="img" aria-label="Frame {index + 1}: {said}">{column}'
        f"{_mark(x, value)}{_reading(index, said, faces)}</g>"
    )


def _reading(index: int, said: str, faces: Sequence[str]) -> str:
    """A frame's faces and what is said of it."""
    top = HEIGHT + GAP
    pictures = [
        f'<image href="{face}" x="{LEFT + place * (FACE_PX + GAP)}" y="{top}" width="{FACE_PX}" '
        f'height="{FACE_PX}"/>'
        for place, face in enumerate(faces)
    ]
    x = LEFT + len(faces) * (FACE_PX + GAP)
    return (
        f'<g class="reading">{"".join(pictures)}<text x="{x}" y="{top + 20}">Frame {index + 1}</text>'
        f'<text class="score" x="{x}" y="{top + 36}">{said}</text></g>'
    )


def _describe(values: Sequence[float | None]) -> str:
    """The curve in words, for those who do not see it."""
    known = [value for value in values if value is not None]
    if not known:
        return f"No face found in any of {len(values)} frames"
    return (
        f"ArcSim per frame, from {min(known):.2f} to {max(known):.2f}; "
        f"face found in {len(known)} of {len(values)} frames"
    )
