"""Small re-rankers trained on a teacher's label lists: an encoder and a decoder."""


class StudentError(ValueError):
    """Label lists, dev lists, a start model or settings that a student cannot be trained with."""
