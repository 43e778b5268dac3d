"""Label folders as the files that trainers, evaluation tools and judgment tools read."""
