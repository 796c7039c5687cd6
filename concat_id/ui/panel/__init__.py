"""Preview, scores and curves beside the forms."""
