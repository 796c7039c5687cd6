"""What is written: the video, its watermark, its signature and the sidecar."""
