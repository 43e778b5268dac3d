"""Studies of attention heads over judged collections: inputs gathered, figures computed, tables and pictures made."""
