"""Re-ranking with an exported folder, without torch."""
