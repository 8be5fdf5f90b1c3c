"""Floor 4: one file a command: options in, one stage call, one report call, exit code. They decide nothing."""
