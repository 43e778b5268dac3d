"""The recipes that come with the package; `distill.recipe_places` finds them here by name."""
