"""Floor 0: frozen data types that travel the one-way road. No behaviour that reads or changes the world."""
