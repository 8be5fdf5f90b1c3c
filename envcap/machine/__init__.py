"""Floor 2: the machine around the packages: shared libraries, the packages that own them, the archive that has those."""
