"""A frozen language model as a judge of relevance: its attention heads, read and routed per query."""
