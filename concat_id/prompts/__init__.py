"""What a model reads of a prompt."""
