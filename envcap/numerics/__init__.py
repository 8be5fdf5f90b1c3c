"""Floor 2: how this machine computes with the libraries of an environment: a fingerprint of small fixed operations."""
