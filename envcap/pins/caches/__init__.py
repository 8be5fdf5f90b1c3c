"""What installers have left in their caches on this machine. Read only, and every word of it is a hint to be proven."""
