"""Colours of videos as a player shows them: what an untagged one means, and film for brighter screens."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache

# Players take what does not say it for high definition from this size on, and for standard definition below.
HD_WIDTH, HD_HEIGHT = 1280, 577
# Curves of BT.2100, as phones film: hybrid log-gamma and the perceptual quantiser.
_BRIGHT_CURVES = ("arib-std-b67", "smpte2084")
# White is at 203 cd/m2, ITU-R BT.2408; what is brighter is compressed.
_ON_THIS_SCREEN = (
    "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
)


def choose_filters(pixel_format: str, size: tuple[int, int]) -> list[str]:
    """FFmpeg's filters that bring a video's frames to what its RGB is read from.

    Args:
        pixel_format: as FFmpeg describes it, such as "yuv420p(tv, bt709/unknown/unknown, progressive)".
        size: width and height in px.
    """
    name, _, said = pixel_format.partition("(")
    words = re.split(r"[,/() ]+", said)
    if any(curve in words for curve in _BRIGHT_CURVES) and _has_tone_mapping():
        return [_ON_THIS_SCREEN]
    is_tagged = any(re.match(r"bt|smpte|fcc|gbr|ycgco|ictcp", word) for word in words)
    is_hd = size[0] >= HD_WIDTH or size[1] >= HD_HEIGHT
    return ["scale=in_color_matrix=bt709"] if name.startswith("yuv") and is_hd and not is_tagged else []


@lru_cache(maxsize=1)
def _has_tone_mapping() -> bool:
    """Whether the FFmpeg that is here was built with what it takes."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-filters"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    return {"zscale", "tonemap"} <= set(listed.split())
