"""What a stranger's lock may say, and which locks are no stranger's."""
