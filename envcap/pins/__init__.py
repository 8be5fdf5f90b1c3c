"""Floor 2: Facts to immutable references. The only room that asks a package index or an image registry."""
