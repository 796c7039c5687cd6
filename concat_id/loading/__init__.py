"""Presets, where their weights come from, and models ready to run."""
