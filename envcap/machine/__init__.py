"""Floor 2: the machine around the packages: libraries, the OS packages that own them, the archive of those."""
