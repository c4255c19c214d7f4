"""lstmgenre."""
