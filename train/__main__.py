"""Train any recipe: `python -m train fit --config train/configs/NAME.yaml`, and `--ckpt_path last` to go on.

Each recipe names its module, its data and its trainer, beside what `configs/trainer.yaml` says for all of
them; whatever they set can be set on the command line too.
Checkpoints and logs go to `.train/NAME/`. A run's checkpoint is `last.ckpt`, always: a run that would write
over another one's is refused.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI

from concat_id.errors import CheckpointInTheWay
from train.precision import is_mixed_faster

SHARED = Path(__file__).parent / "configs" / "trainer.yaml"


class RecipeCLI(LightningCLI):
    """LightningCLI whose runs never leave an earlier run's `last.ckpt` beside their own.

    On a processor without bfloat16, recipes of mixed precision run in float32.
    """

    def before_instantiate_classes(self) -> None:
        options = self.config[self.subcommand]
        trainer = options.trainer
        if trainer.precision == "bf16-mixed" and trainer.accelerator == "cpu" and not is_mixed_faster("cpu"):
            trainer.precision = "32-true"
        for callback in options.trainer.callbacks or []:
            if callback.class_path.rpartition(".")[2] == ModelCheckpoint.__name__:
                # Else Lightning would write `last-v1.ckpt`, and whoever exports `last.ckpt` the old weights.
                callback.init_args.enable_version_counter = False
                if self.subcommand == "fit":
                    _check_free(Path(callback.init_args.dirpath) / "last.ckpt", options.ckpt_path)


def _check_free(last: Path, resumed: str | None) -> None:
    """Refuse to write over a checkpoint that the run does not go on from."""
    goes_on = resumed == "last" or (resumed is not None and Path(resumed).resolve() == last.resolve())
    if last.exists() and not goes_on:
        raise CheckpointInTheWay(
            f"there is a checkpoint of an earlier run in '{last.parent}'; go on from it by "
            f"--ckpt_path {last}, or move the folder away."
        )


def main(args: list[str] | None = None) -> None:
    """Run LightningCLI on the command line, or on `args`."""
    torch.set_float32_matmul_precision("high")
    warnings.filterwarnings("ignore", message=".*num_workers.*")  # batches are made where they are used
    # Averaging fears that weights are split; the recipes that split them do not average.
    warnings.filterwarnings("ignore", message=".*overrides the configure_model.*")
    shared = {"default_config_files": [str(SHARED)]}
    RecipeCLI(
        save_config_kwargs={"overwrite": True},
        parser_kwargs={command: shared for command in ("fit", "validate")},
        seed_everything_default=0,
        args=args,
    )


if __name__ == "__main__":
    main()
