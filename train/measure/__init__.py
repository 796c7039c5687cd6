"""Figures of the networks by themselves, against the renderer's truth."""
