"""Errors that commands turn into one line; `DataError` stands with the collections."""


class RecipeError(ValueError):
    """A recipe that cannot be carried out; the message names the file, the key, what came and what is accepted."""


class ModelError(ValueError):
    """A model that cannot be found, loaded or exported."""
