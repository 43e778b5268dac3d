"""The recipes that come with the package; `distill.recipe` finds them here by name."""
