"""Floor 2: what the project brings along: its code and its data, as digests and archives."""
