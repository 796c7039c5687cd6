"""Which calls of a transformer's block are served by a program that was compiled for one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.export import Dim
from torch.utils import _pytree as pytree

# The passes of one video's step, see `GuidanceMixin`.
MAX_BATCH = 3

# Of a tensor its type and its sizes, of which some only have a name; of anything else its value.
Leaf = list[str | int] | int | None


@dataclass(frozen=True)
class BlockSignature:
    """What a block is called with, but for the size of the batch and the length of the sequence.

    Attributes:
        leaves: of the arguments.
        fewest, most: tokens of a sequence.
    """

    leaves: list[Leaf]
    fewest: int
    most: int

    @classmethod
    def read(cls, args: tuple[Any, ...], fewest: int) -> BlockSignature:
        """The signature of the call with the longest sequence.

        Args:
            args: tokens (B, L, D); conditions, (B, ...) each; positions, a tuple of tables with L rows.
            fewest: tokens of the shortest sequence that is to be served.
        """
        return cls(_describe(args), fewest, args[0].shape[1])

    def serves(self, args: tuple[Any, ...]) -> bool:
        """Whether a program with this signature computes what the block does with these arguments."""
        batch, tokens = args[0].shape[:2]
        return batch <= MAX_BATCH and self.fewest <= tokens <= self.most and _describe(args) == self.leaves

    def name_dims(self, args: tuple[Any, ...]) -> Any:
        """What varies, as `torch.export` takes it: like the arguments, with a dictionary for each tensor."""
        dims = {"batch": Dim("batch", min=1, max=MAX_BATCH)}
        if self.fewest < self.most:
            dims["tokens"] = Dim("tokens", min=self.fewest, max=self.most)
        free = [
            {axis: dims[size] for axis, size in enumerate(leaf[1:]) if size in dims}
            if isinstance(leaf, list)
            else None
            for leaf in self.leaves
        ]
        return pytree.tree_unflatten(free, pytree.tree_structure(args))


def lay_out(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same arguments as programs take them: they read memory as if a tensor had no gaps."""
    return pytree.tree_map_only(Tensor, Tensor.contiguous, args)


def _describe(args: tuple[Any, ...]) -> list[Leaf]:
    """Type and sizes of all tensors, the rest as it is."""
    tokens, described = args[0].shape[1], []
    for index, arg in enumerate(args):
        if isinstance(arg, tuple):
            tables = (["tokens" if size == tokens else size for size in table.shape] for table in arg)
            described += [[str(table.dtype), *sizes] for table, sizes in zip(arg, tables, strict=True)]
        elif isinstance(arg, Tensor):
            named = ["batch", "tokens"] if index == 0 else ["batch"]
            described.append([str(arg.dtype), *named, *arg.shape[len(named) :]])
        else:
            described.append(arg)
    return described
