"""The tab of all videos."""
