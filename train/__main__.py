"""Train any recipe: `python -m train fit --config train/configs/NAME.yaml`, and `--ckpt_path last` to go on.

Each recipe names its module, its data and its trainer; whatever it sets can be set on the command line too.
Checkpoints and logs go to `.train/NAME/`.
"""

import warnings

import torch
from lightning.pytorch.cli import LightningCLI


def main(args: list[str] | None = None) -> None:
    """Run LightningCLI on the command line, or on `args`."""
    torch.set_float32_matmul_precision("high")
    warnings.filterwarnings("ignore", message=".*num_workers.*")  # batches are made where they are used
    LightningCLI(save_config_kwargs={"overwrite": True}, seed_everything_default=0, args=args)


if __name__ == "__main__":
    main()
