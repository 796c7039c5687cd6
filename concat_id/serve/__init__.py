"""Replicas of a preset behind one address, run by Ray Serve, and the client that uses them."""
