"""What speeds save and cost: measured beside the exact videos, and put into words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from concat_id.__main__ import main
from concat_id.evaluation import speeds
from concat_id.evaluation.prices import EXACT, FILE, describe_price, read_prices, tabulate_prices
from concat_id.evaluation.report import describe_prices
from concat_id.evaluation.speeds import mean_square, summarize
from concat_id.speed import SPEEDS
from concat_id.ui.forms.settings import describe_speeds


def entry(seconds: float, psnr: float | None, arcsim: float) -> dict[str, float]:
    """A speed as it is stored."""
    return {"seconds": seconds, "arcsim": arcsim} | ({} if psnr is None else {"psnr": psnr})


PRICES = {
    "command": "python -m concat_id evaluate --speeds",
    "videos": 3,
    "speeds": {
        EXACT: entry(4.0, None, 0.5),
        "balanced": entry(2.5, 43.2, 0.498),
        "fast": entry(2.0, 36.5, 0.44),
    },
}


def test_means_are_of_videos_and_psnr_of_all_pixels() -> None:
    assert mean_square(np.full((1, 2, 2, 3), 255, np.uint8), np.zeros((1, 2, 2, 3), np.uint8)) == 1
    found = summarize(
        [{"seconds": 1, "squares": 0.03, "arcsim": 0.5}, {"seconds": 3, "squares": 0.01, "arcsim": 0.7}]
    )
    assert found == pytest.approx({"seconds": 2, "arcsim": 0.6, "psnr": -10 * np.log10(0.02)})
    assert "psnr" not in summarize([{"seconds": 1, "squares": 0.0}])


def test_prices_in_words_and_in_a_table() -> None:
    assert describe_price(PRICES, "balanced") == "38% less time, 43 dB from exact, ArcSim +0.00"
    assert describe_speeds(PRICES).endswith("fast: 50% less time, 36 dB from exact, ArcSim -0.06.")
    assert "dB" not in describe_speeds(None)
    rows = [line.split(" | ") for line in tabulate_prices(PRICES).splitlines()]
    assert [row[2] for row in rows[2:]] == ["1.00", "1.60", "2.00"] and rows[-1][-1] == "-0.060 |"
    (section,) = describe_prices({"toy": {"prices": PRICES}, "other": {}})
    assert section.startswith("## Speeds of `toy`")


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    assert read_prices(tmp_path) is None
    (tmp_path / FILE).write_text("{")
    assert read_prices(tmp_path) is None


@pytest.mark.usefixtures("known_toy")
def test_speeds_are_measured(
    benchmark_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    options = {EXACT: SPEEDS[EXACT], "fast": SPEEDS["fast"]}
    monkeypatch.setattr(speeds, "OPTIONS", options)
    line = ["evaluate", "--preset", "toy", "--benchmark", str(benchmark_folder), "--videos", "1", "--speeds"]
    line += ["--device", "cpu", "--output", str(tmp_path)]
    assert main(line) == 0
    assert "times as fast" in capsys.readouterr().err
    found = read_prices(tmp_path / "toy")["speeds"]
    assert list(found) == list(options) and "psnr" not in found[EXACT] and found["fast"]["psnr"] > 5
    assert all(values["seconds"] > 0 for values in found.values())
    assert main([*line, "--truth"]) == 2
    assert "leave --videos-from and --truth out" in capsys.readouterr().err
