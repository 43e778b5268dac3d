"""The label job: tail queries in, ranking labels with their origin out, resumable at any moment."""


class LabelingError(ValueError):
    """A query log, a candidate list, a judge or a label folder that labeling cannot work with."""


class DamagedFile(LabelingError):
    """A file of a label folder that could be read and does not hold what was written: its lists can be made again."""
