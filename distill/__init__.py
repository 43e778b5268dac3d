"""From a collection to deployable re-rankers: recipes, commands, evaluation and export."""
