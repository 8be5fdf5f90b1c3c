"""Floor 2: from locked wheels to the archives that an image's layers are unpacked from. Same wheels, same bytes."""
