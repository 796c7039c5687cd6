"""Rendering, encoding and training in one process, on one device: nothing is stored in between."""
