"""Collections of documents, queries and judgments, and the formats they come in."""
