"""Writing and reading files whole."""
