"""Floor 2: Lock to Context, pure: no clock, no network, no randomness."""
