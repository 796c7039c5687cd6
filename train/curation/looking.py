"""Steps 2 to 4 and 6 as the workers take them: faces, people, references, garments and backgrounds of clips.

All that is found out goes to `Work`, and pictures to the dataset's folder: what the workers return tells only
how far they are.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import transformers.utils.logging
from PIL import Image

from concat_id.references.prepare import MIN_PEOPLE_SHARE
from train.curation.clips import Clip
from train.curation.job import Job, Rows
from train.curation.models import Models, find_preset
from train.curation.people import People, tell_people_apart
from train.curation.reading import MODEL_STEPS
from train.curation.sightings import Sightings, find_faces
from train.curation.stored_references import (
    Stored,
    Usable,
    choose_sharp_and_varied,
    judge_faces,
    store_reference,
)
from train.curation.verdicts import Dropped
from train.curation.work import Result

# Of a frame that people may cover: behind more nobody could guess. For a user's own picture half of it
# holds.
MAX_HIDDEN_SHARE = 0.6


class LookAtClips:
    """Looks at a batch of clips.

    Args:
        job: see `Job`.
    """

    def __init__(self, job: Job) -> None:
        transformers.utils.logging.disable_progress_bar()
        self.job, self.models = job, Models(find_preset(job.preset), device=job.device)

    def __call__(self, batch: Rows) -> Rows:
        """Rows `video`, and `done`, whether it was the video's last row.

        Args:
            batch: as `ReadClips` makes it.
        """
        for name, payload in zip(batch["clip"], batch["payload"], strict=True):
            if payload:
                self.look(str(name), pickle.loads(payload))
        return {"video": batch["video"], "done": np.array([not payload for payload in batch["payload"]])}

    def look(self, name: str, clip: Clip) -> None:
        """Take the steps that there is no result of yet; a clip that kills its worker is dropped."""
        try:
            with self.job.attempts.of(name):
                self._look(name, clip)
        except Dropped as dropped:
            verdict = {"reason": dropped.reason, "detail": dropped.detail, "people": [], "references": []}
            nothing = {"garment": None, "background": None, "hidden_share": None}
            for step in MODEL_STEPS:
                self.job.work.write(step, name, verdict | nothing, {"embeddings": np.zeros((0, 0))})

    def _look(self, name: str, clip: Clip) -> None:
        work = self.job.work
        seen = work.read("faces", name)
        if seen is None:
            seen = Result({}, vars(find_faces(clip.frames, self.models.finder, self.job.rules.faces)))
            work.write("faces", name, seen.record, seen.arrays)
        references = work.read("references", name)
        if references is None:
            references = self._store_people(name, clip, Sightings(**seen.arrays))
            work.write("references", name, references.record, references.arrays)
        if not work.has("cut_outs", name):
            work.write("cut_outs", name, self._cut_out(name, clip, len(references.record["people"])))

    def _store_people(self, name: str, clip: Clip, seen: Sightings) -> Result:
        """Steps 3 and 4: `people` and `references` as rows, or the reason why the clip is dropped."""
        rules = self.job.rules
        bound = rules.people.min_cosine
        try:
            people = tell_people_apart(
                seen,
                len(clip.frames),
                clip.frames[0].shape[1],
                min_cosine=self.models.preset.min_cosine if bound is None else bound,
                rules=rules.people,
            )
        except Dropped as dropped:
            return Result(
                {"reason": dropped.reason, "detail": dropped.detail, "people": [], "references": []}, {}
            )
        judged = judge_faces(clip.frames, seen, people, rules.references)
        rows, chosen = [], []
        for who in range(people.count):
            own = np.flatnonzero((people.person == who) & judged.usable)
            for rank, face in enumerate(choose_sharp_and_varied(own, judged.sharpness)):
                rows.append(self._store_face(f"{name}-p{who}", rank, int(face), clip, seen, judged))
                chosen.append(face)
        shares = seen.area_shares(*clip.frames[0].shape[:2])
        record = {
            "reason": None,
            "detail": None,
            "aesthetics": self._judge_aesthetics(clip),
            "people": [_describe_person(name, who, people, judged, shares) for who in range(people.count)],
            "references": rows,
        }
        return Result(record, {"embeddings": seen.embeddings[chosen]})

    def _store_face(
        self, person: str, rank: int, face: int, clip: Clip, seen: Sightings, judged: Usable
    ) -> dict[str, Any]:
        """Save a reference with its mask; its row."""
        frame = clip.frames[seen.frame[face]]
        stored: Stored = store_reference(
            frame, seen.landmarks[face], self.models.face_parser, self.job.rules.references
        )
        name = f"{person}-r{rank}"
        return {
            "reference": name,
            "person": person,
            "time_s": round(clip.times[seen.frame[face]], 4),
            "box": seen.boxes[face].round(2).tolist(),
            "landmarks": seen.landmarks[face].round(2).flatten().tolist(),
            "area_share": float(seen.area_shares(*frame.shape[:2])[face]),
            "sharpness": float(judged.sharpness[face]),
            "yaw_deg": float(judged.pose[face, 0]),
            "pitch_deg": float(judged.pose[face, 1]),
            "roll_deg": float(judged.pose[face, 2]),
            "masked": stored.masked,
            "kept_share": float(stored.mask.mean()),
            "picture": self.job.save_picture("references", name, stored.crop),
            "mask": self.job.save_picture("masks", name, Image.fromarray(stored.mask)),
        }

    def _judge_aesthetics(self, clip: Clip) -> float | None:
        """Of the middle frame."""
        scorer = self.models.aesthetics
        return scorer.score(Image.fromarray(clip.frames[len(clip.frames) // 2])) if scorer else None

    def _cut_out(self, name: str, clip: Clip, num_people: int) -> dict[str, Any]:
        """Step 6: one person's garment, which the paper's try-on is about, and the place behind everybody."""
        record: dict[str, Any] = {"garment": None, "background": None, "hidden_share": None}
        first, rules = Image.fromarray(clip.frames[0]), self.job.rules.references
        if num_people == 1 and rules.garments:
            garment = self.models.segmenter.cut_garment(first)
            if garment is not None:
                record["garment"] = self.job.save_picture("garments", f"{name}-p0", garment)
        if num_people and rules.backgrounds:
            people = self.models.segmenter.find_people(first)
            record["hidden_share"] = float(people.mean())
            if MIN_PEOPLE_SHARE <= record["hidden_share"] <= MAX_HIDDEN_SHARE:
                filled = self.models.filler.fill(first, people, name)
                record["background"] = self.job.save_picture("backgrounds", name, filled)
        return record


def _describe_person(
    clip: str, who: int, people: People, judged: Usable, shares: np.ndarray
) -> dict[str, Any]:
    """A person's row.

    Args:
        shares: of the frame that each face covers, (N,).
    """
    own = people.person == who
    usable = own & judged.usable
    return {
        "person": f"{clip}-p{who}",
        "position": who,
        "mean_x": float(people.mean_x[who]),
        "num_faces": int(own.sum()),
        "area_share": float(shares[own].mean()),
        "sharpness": float(judged.sharpness[usable].mean()) if usable.any() else 0.0,
        "refused": judged.reasons[who],
    }
