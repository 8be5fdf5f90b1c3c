"""Floor 2: model to text, and the console that shows it."""
