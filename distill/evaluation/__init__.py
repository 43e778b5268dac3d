"""Runs measured against judgments, by pytrec_eval, and compared with each other, by judgments, clicks and time."""
