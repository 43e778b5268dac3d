"""A recipe: its sections and keys, how its YAML is found, laid over others and read, and what can be wrong with it."""
