"""The report of a dataset, one HTML page: the funnel, similarities with the bands drawn in, pairs as
pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from PIL import Image

from concat_id.files.atomic import replacing
from train.curation.funnel import Step, count_funnel, count_pairs
from train.curation.mining import PAIR_KINDS
from train.curation.models import Preset
from train.curation.pairing import Cast, read_cast

# Whose similarities are drawn; of more, as many at random.
MAX_PEOPLE = 2000
SHOWN_PAIRS = 8
SHOWN_FILES = 200
THUMBNAIL_PX = 112
COLORS = {"cross_video": "tab:blue", "cross_video_strict": "tab:orange", "trade_off": "tab:green"}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}"
    "td.n{text-align:right}img{max-width:100%}figure{margin:1rem 0}figcaption{color:#555}"
)


def write_report(output: Path, preset: Preset) -> Path:
    """Write `report.html` into a dataset's folder, from its tables and pictures alone. Returns its path."""
    tables = output / "tables"
    cast = read_cast(tables)
    steps = count_funnel(tables)
    parts = [
        "<h1>What became of the footage</h1>",
        _table(["", "rows", "kept", "dropped, and why"], [_funnel_row(step) for step in steps]),
        _figure(draw_funnel(steps), "Rows that each step saw and kept."),
        "<h2>Pairs</h2>",
        _table(
            ["kind", "pairs", "clips", "references"],
            [[kind, *map(str, counts)] for kind, counts in count_pairs(tables).items()],
        ),
    ]
    if len(cast.references):
        caption = (
            "Cosines of people and references of other videos; in colour the bands that pairs are taken from."
        )
        parts.append(_figure(draw_similarities(measure_similarities(cast), preset), caption))
    for kind in PAIR_KINDS[1:]:
        parts += _show_pairs(output, kind)
    parts += ["<h2>Files that are not used</h2>", *_list_files(tables)]
    path = output / "report.html"
    body = "\n".join(parts)
    with replacing(path) as unfinished:
        unfinished.write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Curation</title>'
            f"<style>{_STYLE}</style>\n{body}\n</html>\n",
            "utf-8",
        )
    return path


def measure_similarities(cast: Cast) -> np.ndarray:
    """Cosines of up to `MAX_PEOPLE` people with all references of other videos, (M,)."""
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(cast.people))[:MAX_PEOPLE])
    totals = np.zeros((len(cast.people), cast.embeddings.shape[1]), np.float32)
    np.add.at(totals, cast.tracks, cast.embeddings)
    means = totals / np.linalg.norm(totals, axis=1, keepdims=True).clip(min=1e-6)
    few = np.sort(rng.permutation(len(cast.references))[: 10 * MAX_PEOPLE])
    cosines = means[chosen] @ cast.embeddings[few].T
    return cosines[cast.videos[chosen][:, None] != cast.reference_videos[few]]


def draw_similarities(cosines: np.ndarray, preset: Preset) -> Figure:
    """A histogram with the bands.

    Args:
        cosines: (M,).
    """
    figure = Figure((8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(cosines, bins=np.linspace(-0.5, 1, 151), color="0.6")
    axes.set_yscale("symlog")
    for row, (name, band) in enumerate(preset.bands.items()):
        axes.axvspan(
            band.low, band.high, ymin=0.9 - 0.1 * row, ymax=0.98 - 0.1 * row, color=COLORS[name], label=name
        )
    axes.set(xlabel="cosine", ylabel="pairs", xlim=(-0.5, 1))
    axes.legend(loc="upper left", frameon=False)
    return figure


def draw_funnel(steps: Sequence[Step]) -> Figure:
    """Bars of what came in and what was kept."""
    figure = Figure((8, 2.4), layout="constrained")
    axes = figure.subplots()
    titles = [step.title for step in steps]
    axes.barh(titles, [step.rows for step in steps], color="0.85", label="seen")
    axes.barh(titles, [step.kept for step in steps], color="tab:blue", label="kept")
    axes.invert_yaxis()
    axes.set_xlabel("rows")
    axes.legend(frameon=False)
    return figure


def _funnel_row(step: Step) -> list[str]:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in step.reasons.items())
    return [step.title, str(step.rows), str(step.kept), reasons]


def _show_pairs(output: Path, kind: str) -> list[str]:
    """Some pairs, spread over the kind's table: above who is in the clip, below the reference from
    elsewhere."""
    pairs = pq.read_table(output / "tables" / f"pairs_{kind}.parquet")
    if not len(pairs):
        return [f"<h2>{kind}</h2>", "<p>There are none.</p>"]
    places = np.unique(np.linspace(0, len(pairs) - 1, SHOWN_PAIRS).astype(int))
    rows = pairs.take(places).to_pylist()
    own = {row["person"]: f"{row['person']}-r0" for row in rows}
    names = [*own.values(), *(row["reference"] for row in rows)]
    columns = ["reference", "picture"]
    table = pq.read_table(
        output / "tables" / "references.parquet", columns=columns, filters=[("reference", "in", names)]
    ).to_pydict()
    pictures = dict(zip(table["reference"], table["picture"], strict=True))
    sheet = Image.new("RGB", (THUMBNAIL_PX * len(rows), 2 * THUMBNAIL_PX))
    for column, row in enumerate(rows):
        for line, name in enumerate((own[row["person"]], row["reference"])):
            with Image.open(output / pictures[name]) as picture:
                thumbnail = picture.convert("RGB").resize((THUMBNAIL_PX, THUMBNAIL_PX))
            sheet.paste(thumbnail, (column * THUMBNAIL_PX, line * THUMBNAIL_PX))
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    cosines = ", ".join(f"{row['cosine']:.2f}" for row in rows)
    caption = f"Above people of clips, below their references of other videos; cosines {cosines}."
    return [f"<h2>{kind}</h2>", _picture(buffer.getvalue(), caption)]


def _list_files(tables: Path) -> list[str]:
    """Every file that was dropped, by name with its reason."""
    columns = ["video", "status", "reason", "detail"]
    dropped = pq.read_table(tables / "videos.parquet", columns=columns, filters=[("status", "=", "dropped")])
    rows = [[row["video"], row["reason"], row["detail"]] for row in dropped.slice(0, SHOWN_FILES).to_pylist()]
    parts = [_table(["file", "reason", "detail"], rows)]
    if len(dropped) > SHOWN_FILES:
        parts.append(f"<p>And {len(dropped) - SHOWN_FILES} more: see tables/videos.parquet.</p>")
    return parts


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    cells += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in cells) + "</table>"


def _figure(figure: Figure, caption: str) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return _picture(buffer.getvalue(), caption)


def _picture(png: bytes, caption: str) -> str:
    data, text = base64.b64encode(png).decode(), html.escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
