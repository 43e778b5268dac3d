"""Measures of a run against judgments, all computed by pytrec_eval."""
