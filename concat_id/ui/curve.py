"""The per-frame curve of the identity score, drawn as inline SVG."""

from collections.abc import Sequence

WIDTH, HEIGHT = 288, 132
LEFT, RIGHT, TOP, BOTTOM = 26, 6, 8, 20


def draw_curve(indices: Sequence[int], values: Sequence[float | None]) -> str:
    """Draw ArcSim over the scored frames.

    Args:
        indices: which frames of the video were scored, from 0.
        values: their scores in [0, 1], None where no face was found.

    Returns:
        An `<svg>` element; pointing at a frame shows its score.
    """
    points = [(_x(place, len(values)), value) for place, value in enumerate(values)]
    parts = [*_grid(), *_runs(points), *(_mark(x, value) for x, value in points), *_frame_labels(indices)]
    width = (WIDTH - LEFT - RIGHT) / len(values)
    parts += [_target(x, width, index, value) for (x, value), index in zip(points, indices, strict=True)]
    return (
        f'<svg class="cid-curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{_describe(values)}">'
        f"{''.join(parts)}</svg>"
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


def _target(x: float, width: float, index: int, value: float | None) -> str:
    """An invisible column around x that names the frame's score when pointed at."""
    said = "no face found in this frame" if value is None else f"ArcSim {value:.3f}"
    return (
        f'<rect class="target" x="{x - width / 2:.1f}" y="{TOP}" width="{width:.1f}" '
        f'height="{HEIGHT - TOP - BOTTOM}"><title>Frame {index + 1}: {said}</title></rect>'
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
