"""The memory that training the real models takes is counted, and the docs say what is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from train.measure.memory import SETTINGS, account

README = Path("train/curation/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def counted() -> dict[str, dict[str, float]]:
    """Gigabytes by setting."""
    return {setting.title: account(setting) for setting in SETTINGS}


def test_the_table_of_the_docs_is_what_is_counted(counted: dict[str, dict[str, float]]) -> None:
    for title, sizes in counted.items():
        (row,) = re.findall(rf"^\| {re.escape(title)} \| (.*) \|$", README, re.MULTILINE)
        assert row.split(" | ") == [f"{size:.1f}" for size in (*sizes.values(), sum(sizes.values()))]


def test_a_lora_spares_means_and_sharing_spares_all_but_activations(
    counted: dict[str, dict[str, float]],
) -> None:
    lora, whole, shared, halved = counted.values()
    assert lora["AdamW"] < whole["AdamW"] / 10 and lora["weights"] > whole["weights"]
    assert whole["weights"] == pytest.approx(4 * 1.43, rel=0.01)  # 1.42 billion of Wan's, and AdaLN's
    assert shared["weights"] == 2 * halved["weights"] and shared["activations"] == halved["activations"]
