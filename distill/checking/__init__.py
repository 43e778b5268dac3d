"""Looks a recipe over before it runs: its keys, paths, packages and models, and what it will take."""
