"""Concat-ID itself: flow matching, the three stages, distillation."""
