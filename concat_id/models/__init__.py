"""The transformer and the conversion of the authors' checkpoints to it."""
