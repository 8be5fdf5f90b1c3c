"""Floor 2: the probe. `target/` runs under the interpreter it describes; `handover.py` takes it there."""
