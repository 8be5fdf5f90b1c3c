"""Floor 2: run the evaluation, and collect what it wrote."""
