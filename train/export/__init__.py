"""From training checkpoints to the folders that the product loads."""
