"""Draws contact sheets: `python -m concat_id.people --output sheet.png [--sheet people] [--size 128]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from concat_id.people.sheets import group_sheet, people_sheet, person_sheet, reference_sheet

SHEETS = {
    "people": people_sheet,
    "person": person_sheet,
    "groups": group_sheet,
    "references": reference_sheet,
}


def main() -> None:
    """Writes one sheet, or all four beside each other's names."""
    parser = argparse.ArgumentParser(description="Draw contact sheets of the synthetic people.")
    parser.add_argument(
        "--output", type=Path, required=True, help="PNG to write; with --sheet all, a name is inserted"
    )
    parser.add_argument("--sheet", choices=[*SHEETS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=128, help="pixels of one picture")
    args = parser.parse_args()
    for name in SHEETS if args.sheet == "all" else [args.sheet]:
        path = args.output if args.sheet != "all" else args.output.with_stem(f"{args.output.stem}-{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        SHEETS[name](args.seed, args.size).save(path)


if __name__ == "__main__":
    main()
