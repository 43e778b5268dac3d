"""The stages of a recipe as plain functions: the pipeline, the commands and notebooks call the same ones."""
