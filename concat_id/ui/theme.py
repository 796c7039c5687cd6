"""The look: one accent colour, system fonts, and the style sheets in `static/`.

Nothing here or there is fetched from outside: the fonts are the visitor's own, the icons inline.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils.colors import Color

# In this order: what comes later may change what came before.
STYLE_SHEETS = [
    Path(__file__).with_name("static") / f"{part}.css"
    for part in (
        *("base", "header", "form", "drawing", "photo", "stage"),
        *("scores", "runs", "compare", "results", "small_screens"),
    )
]

ACCENT = Color(
    name="lagoon",
    c50="#eefaf8",
    c100="#d3f2ed",
    c200="#a9e5dc",
    c300="#72d1c5",
    c400="#3fb6aa",
    c500="#1f998f",
    c600="#0f7b74",
    c700="#10625e",
    c800="#124e4c",
    c900="#134140",
    c950="#052726",
)
INK = Color(
    name="ink",
    c50="#f7f8f8",
    c100="#eff1f1",
    c200="#e0e4e4",
    c300="#c8cfcf",
    c400="#95a0a1",
    c500="#687475",
    c600="#4d5859",
    c700="#364041",
    c800="#20282a",
    c900="#161d1f",
    c950="#0e1416",
)


class SystemFont(gr.themes.Font):
    """A font the visitor's machine has; written unquoted, so that generic names such as system-ui work."""

    def __str__(self) -> str:
        return self.name


SANS = [SystemFont(name) for name in ("system-ui", "-apple-system", "Roboto", "Arial", "sans-serif")]
MONO = [SystemFont(name) for name in ("ui-monospace", "Menlo", "Consolas", "monospace")]


def build_theme() -> gr.themes.Base:
    """The theme handed to `launch`."""
    theme = gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=INK,
        radius_size=gr.themes.sizes.radius_lg,
        font=SANS,
        font_mono=MONO,
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        background_fill_secondary="white",
        background_fill_secondary_dark="*neutral_900",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        block_label_background_fill="*block_background_fill",
        block_label_background_fill_dark="*block_background_fill",
        block_label_border_width="0px",
        block_title_text_weight="600",
        block_title_text_size="*text_sm",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        block_shadow="none",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color="white",
        button_primary_text_color_dark="*primary_950",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_large_text_weight="600",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )
