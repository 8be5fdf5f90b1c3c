"""Floor 2: pure judgement: what was frozen against what came back."""
