"""The benchmark of held-out people, and the example pictures."""
