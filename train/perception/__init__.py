"""Detector, recogniser and parsers."""
