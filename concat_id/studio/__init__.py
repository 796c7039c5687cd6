"""What was made: kept, restored, compared and voted on."""
