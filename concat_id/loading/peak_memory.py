"""How much memory a run takes at most: of the GPU, or, on Linux, of this process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"  # see proc(5): the peak is counted anew from what is resident now


@dataclass(frozen=True)
class PeakMemory:
    """Bytes held before something was computed, and at most until its end."""

    held: int
    peak: int


class MemoryWatch:
    """Watches from when it is made.

    Args:
        device: as torch names it.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._held = self._begin()

    def read(self) -> PeakMemory | None:
        """The most so far; None where nothing on this machine tells it."""
        if self._held is None:
            return None
        if self._device.startswith("cuda"):
            import torch

            peak = torch.cuda.max_memory_reserved(self._device)
        else:
            peak = _read_status("VmHWM")
        return PeakMemory(self._held, max(peak or 0, self._held))

    def _begin(self) -> int | None:
        """Forget earlier peaks. Returns what is held now, None where peaks are not known."""
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
            return torch.cuda.memory_reserved(self._device)
        if self._device != "cpu":
            return None
        try:
            _CLEAR.write_text(_FORGET_PEAK)
        except OSError:  # no Linux, or one that does not let processes
            return None
        return _read_status("VmRSS")


def _read_status(name: str) -> int | None:
    """A value that the kernel keeps of this process, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None
