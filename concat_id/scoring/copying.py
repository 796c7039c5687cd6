"""Whether a video shows the reference picture again instead of the person."""

from __future__ import annotations

from concat_id.scoring.scorer import Scores

# Of 26 drawn people: a still of the reference picture is found in 23, one that is turned and zoomed in 21; of
# clips of the same people in other scenes, 1 of 26. Photographs have other scales and were not measured: the
# paper's most literal model, stage I, has a mean ArcSim of .56 and a CLIPDist of .27.
COPIED_ARCSIM = 0.8
COPIED_CLIPDIST = 0.18


def copies_reference(scores: Scores) -> bool:
    """The rule of the copied face: ArcSim of .8 or more together with a CLIPDist of .18 or less.

    CLIPDist compares the aligned faces as pictures: expression, pose and light make it grow. So low beside
    so high a likeness, nothing of the face has changed. Of several people one is enough.
    """
    return any(
        person.clipdist is not None and person.arcsim >= COPIED_ARCSIM and person.clipdist <= COPIED_CLIPDIST
        for person in scores.people or (scores,)
    )
