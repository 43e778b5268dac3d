"""The recipes that come with the package; `distill.recipe.places` finds them here by name."""
