"""Rendering, encoding and training in one process on one device: footage is made as fast as it is learned from."""
