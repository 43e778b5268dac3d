"""The error that callers of a teacher may want to catch."""


class TeacherError(ValueError):
    """A model, a list or a saved teacher that cannot be used as it is; the message says what to do."""
