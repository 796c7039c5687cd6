"""Step 1 as the workers take it: a row for each clip that the models have not seen; what was done is not
redone.

A row holds one clip with its sampled frames, which Arrow has no type for and which are pickled therefore.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

from train.curation.clips import Clip, check_source, read_clips
from train.curation.job import Job, Rows
from train.curation.sources import Source, fingerprint
from train.curation.verdicts import Dropped

MIN_FRAMES = 2
NO_FILE = "0" * 16
MODEL_STEPS = ("faces", "references", "cut_outs")


def mark_contents(source: Source) -> str:
    """What changes with a file's contents; the same for all that cannot be read."""
    try:
        return fingerprint(source.path)
    except OSError:
        return NO_FILE


def name_video(source: Source, mark: str) -> str:
    """A video's name in the results.

    Args:
        mark: see `mark_contents`.
    """
    return f"{source.key}-{mark[:8]}"


class ReadClips:
    """Step 1 over a batch of sources: a row for each clip that the models have not seen.

    Args:
        job: see `Job`.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, batch: Rows) -> Iterator[Rows]:
        """Rows `clip` (name), `payload` (pickled `Clip`, empty at a video's end) and `video`.

        Args:
            batch: the columns of `Source`.
        """
        for name, path, caption in zip(batch["name"], batch["path"], batch["caption"], strict=True):
            source = Source(str(name), str(path), str(caption))
            for clip_name, clip in self.read(source):
                payload = pickle.dumps(clip, pickle.HIGHEST_PROTOCOL)
                yield {"video": [source.name], "clip": [clip_name], "payload": [payload]}
            yield {"video": [source.name], "clip": [""], "payload": [b""]}

    def read(self, source: Source) -> Iterator[tuple[str, Clip]]:
        """The clips of a source that the models have to look at, and keep what the file holds."""
        if is_done(source, self.job):
            return
        rules = self.job.rules.clips
        mark = mark_contents(source)
        name = name_video(source, mark)
        clips: list[dict[str, Any]] = []
        record: dict[str, Any] = {"caption": source.caption, "fingerprint": mark}
        try:
            check_source(source, rules)
            with self.job.attempts.of(name):
                for clip in read_clips(source.path, rules):
                    clips.append(_describe(f"{name}-{clip.index:03d}", clip, rules.min_clip_s))
                    if clips[-1]["reason"] is None:
                        yield clips[-1]["clip"], clip
            record |= {"status": "kept", "reason": None, "detail": None}
        except Dropped as dropped:
            record |= {"status": "dropped", "reason": dropped.reason, "detail": dropped.detail}
        self.job.work.write("clips", name, record | {"clips": clips})


def is_done(source: Source, job: Job) -> bool:
    """Whether a source has been read by these rules, and the models have seen all its clips."""
    known = job.work.read("clips", name_video(source, mark_contents(source)))
    if known is None or known.record["caption"] != source.caption:
        return False
    clips = [clip["clip"] for clip in known.record["clips"] if clip["reason"] is None]
    dropped = known.record["status"] == "dropped"
    return dropped or all(job.work.has(step, clip) for clip in clips for step in MODEL_STEPS)


def _describe(name: str, clip: Clip, min_clip_s: float) -> dict[str, Any]:
    """What is known of a clip without its faces."""
    height, width = clip.frames[0].shape[:2] if clip.frames else (0, 0)
    row = {
        "clip": name,
        "index": clip.index,
        "start_s": round(clip.start_s, 4),
        "end_s": round(clip.end_s, 4),
        "num_frames": len(clip.frames),
        "height": height,
        "width": width,
        "flow": round(clip.flow, 6),
        "reason": None,
        "detail": None,
    }
    length = clip.end_s - clip.start_s
    if length < min_clip_s or len(clip.frames) < MIN_FRAMES:
        row["reason"] = "too short"
        row["detail"] = (
            f"it lasts {length:.2f} s and has {len(clip.frames)} sampled frames; at least {min_clip_s:g} s "
            f"and {MIN_FRAMES} are needed."
        )
    return row
