"""The tab in which videos are compared blindly."""
