"""The pipelines: text and reference pictures in, video out."""
