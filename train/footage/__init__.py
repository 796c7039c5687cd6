"""Rendered footage, encoded: clips, references and retakes."""
