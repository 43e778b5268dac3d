"""Students as plain folders that other servers load unchanged, checked after writing."""
