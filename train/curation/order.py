"""Several people in one clip: their order, and which references agree with it (supplement, B.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def order_people(face_x: Tensor, found: Tensor) -> Tensor:
    """Numbers of a clip's people from left to right, by the mean horizontal position of their faces, (V, P).

    People who are never found come last.

    Args:
        face_x: horizontal middle of the face boxes, (V, J, P).
        found: whether that person was found in that frame, (V, J, P) bool.
    """
    return _mean_x(face_x, found).argsort(dim=1, stable=True)


def agrees_with_order(face_x: Tensor, found: Tensor) -> Tensor:
    """Whether a face stands to the others of its frame as its person does to them on the whole, (V, J, P).

    A face for which this is false is no reference: the picture would contradict the order.
    """
    on_the_whole = _mean_x(face_x, found).unsqueeze(1)
    is_left = face_x.unsqueeze(3) < face_x.unsqueeze(2)
    should_be_left = on_the_whole.unsqueeze(3) < on_the_whole.unsqueeze(2)
    # A person is not to the left of himself, and one who is not in the frame contradicts nobody.
    compared = found.unsqueeze(2) & ~torch.eye(found.shape[2], dtype=torch.bool, device=found.device)
    return found & ~((is_left != should_be_left) & compared).any(3)


def has_enough_references(has_reference: Tensor) -> Tensor:
    """Whether enough people of a clip have a reference: both of two, at least two of three, (V,) bool.

    Args:
        has_reference: by person, (V, P) bool.
    """
    return has_reference.sum(1) >= min(2, has_reference.shape[1])


def _mean_x(face_x: Tensor, found: Tensor) -> Tensor:
    """(V, P); infinite for people who are never found."""
    total = torch.where(found, face_x, 0.0).sum(1)
    return torch.where(found.any(1), total / found.sum(1).clamp(min=1), torch.inf)
