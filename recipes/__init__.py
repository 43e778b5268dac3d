"""The recipes that come with the package; `distill.recipe_file` finds them here by name."""
