"""An invisible watermark: the same faint keyed pattern in every frame, found again by correlating with it.

Spread spectrum in the luma's 8 x 8 DCT (Cox et al. 1997, Hartung and Girod 1998). No library was fit:
invisible-watermark refuses frames of fewer pixels than 256 x 256, the embedded model's among them, and
blind-watermark, last released in 2023, quantises all three colour channels, block by block in Python.

The mark says that a video was made here, and nothing else. It outlives re-encoding, not scaling or cropping;
and its key is public, so that whoever reads this file can remove or forge it, unlike the signature.
Axes: T frames, H, W in px; R, C rows and columns of blocks; K coefficients of a block.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

KEY = b"concat-id-studio/1"
# Standard deviation of the pattern in units of a pixel's value: 44.5 dB PSNR, see tests/benchmarks.
STRENGTH = 1.5
# By Hoeffding's inequality, chance exceeds it in exp(-z^2 / 2) < 4e-6 of the keys, whatever the video.
THRESHOLD = 5.0

_BLOCK = 8  # the transform's size in H.264 high profile, too: quantisation treats block by block as we do
# Low enough to outlive quantisation, high enough to be neither drowned by the picture nor seen as blotches.
_COEFFICIENTS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (3, 3))
_AMPLITUDE = STRENGTH * _BLOCK / len(_COEFFICIENTS) ** 0.5
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # BT.709, as the files are encoded


@dataclass(frozen=True)
class Detection:
    """How much a video resembles the pattern: standard deviations above what chance gives."""

    z: float

    @property
    def is_found(self) -> bool:
        """Whether chance is ruled out."""
        return self.z > THRESHOLD


def mark(frames: np.ndarray, key: bytes = KEY) -> np.ndarray:
    """Put the mark into every frame.

    Args:
        frames: (T, H, W, 3) uint8; what is over 8-px blocks at the right and bottom stays as it is.
        key: decides the pattern.

    Returns:
        (T, H, W, 3) uint8.
    """
    pattern = _draw_pattern(frames.shape[1], frames.shape[2], key)[..., None]
    marked = np.empty_like(frames)
    for index, frame in enumerate(frames):
        # The same on red, green and blue: luma alone, which 4:2:0 leaves at full resolution.
        marked[index] = np.clip(np.rint(frame + pattern), 0, 255)
    return marked


def detect(frames: np.ndarray, key: bytes = KEY) -> Detection:
    """Look for the mark in all frames together.

    Args:
        frames: (T, H, W, 3) uint8.
        key: the one that the mark was made with.
    """
    basis = _draw_basis()
    rows, columns = frames.shape[1] // _BLOCK, frames.shape[2] // _BLOCK
    evidence = np.zeros((rows, columns, len(basis)), np.float32)
    for frame in frames:
        luma = frame[: rows * _BLOCK, : columns * _BLOCK] @ _LUMA
        blocks = luma.reshape(rows, _BLOCK, columns, _BLOCK)
        # An edge in the picture weighs no more than the mark: it is the picture that is the noise here.
        coefficients = np.einsum("rycx,kyx->rck", blocks, basis)
        evidence += coefficients.clip(-_AMPLITUDE / 4, _AMPLITUDE / 4)
    # For any video, the sum over random signs has mean 0 and this standard deviation.
    deviation = float(np.sqrt((evidence**2).sum()))
    agreement = float((evidence * _draw_signs(rows, columns, key)).sum())
    return Detection(agreement / deviation if deviation else 0.0)


def _draw_pattern(height: int, width: int, key: bytes) -> np.ndarray:
    """What is added to a frame, (H, W) float32."""
    rows, columns = height // _BLOCK, width // _BLOCK
    blocks = np.einsum("rck,kyx->rycx", _draw_signs(rows, columns, key), _draw_basis())
    inside = blocks.reshape(rows * _BLOCK, columns * _BLOCK) * _AMPLITUDE
    return np.pad(inside, ((0, height % _BLOCK), (0, width % _BLOCK)))


def _draw_signs(rows: int, columns: int, key: bytes) -> np.ndarray:
    """The key's sign of each coefficient, (R, C, K) float32 of -1 and 1; the same in frames of all sizes."""
    # A hash, not NumPy's generators, whose numbers may change from version to version.
    size = columns * len(_COEFFICIENTS) // 8
    data = b"".join(hashlib.shake_256(key + b"/%d" % row).digest(size) for row in range(rows))
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(rows, columns, len(_COEFFICIENTS))
    return bits.astype(np.float32) * 2 - 1


def _draw_basis() -> np.ndarray:
    """The coefficients' pictures, orthonormal: (K, 8, 8) float32."""
    frequency, position = np.mgrid[:_BLOCK, :_BLOCK]
    # None of the coefficients has frequency 0, whose factor would be another.
    cosines = np.sqrt(2 / _BLOCK) * np.cos(np.pi * frequency * (2 * position + 1) / (2 * _BLOCK))
    return np.stack([np.outer(cosines[v], cosines[u]) for v, u in _COEFFICIENTS]).astype(np.float32)
