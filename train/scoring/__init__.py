"""What scores: CLIP, video CLIP, the reader and the judge of whole faces."""
