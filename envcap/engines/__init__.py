"""Floor 2: what can build an image and run a task in it."""
