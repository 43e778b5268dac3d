"""The label job: tail queries in, ranking labels with their origin out, resumable at any moment."""


class LabelingError(ValueError):
    """A query log, a candidate list, a judge or a label folder that labeling cannot work with."""
