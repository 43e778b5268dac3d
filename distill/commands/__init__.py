"""The subcommands of `distill`: each parses, calls one function and prints."""
