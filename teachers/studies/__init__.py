"""Studies of attention heads: numbers from head scores or from a reader, nothing of collections or of tables."""
