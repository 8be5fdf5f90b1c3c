"""envcap: freeze a machine-learning environment, rebuild it, and verify that its result comes back."""

__version__ = "0.1.0"
