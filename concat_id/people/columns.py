"""A struct of arrays: a dataclass whose fields are tensors (or such structs) with one common first axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Columns:
    """Base of the structs of arrays."""

    def apply(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The same struct with the function applied to every tensor."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            values[field.name] = value.apply(function) if isinstance(value, Columns) else function(value)
        return type(self)(**values)

    def rows(self, index: Tensor | slice) -> Self:
        """The chosen rows of every field."""
        return self.apply(lambda value: value[index])


def rows_where(condition: Tensor) -> Tensor:
    """Numbers of the rows for which a (n, 1, 1, 1) or (n,) condition holds, (k,), int64."""
    return condition.flatten().nonzero().flatten()
