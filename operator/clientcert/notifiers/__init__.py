"""Who is told, in which words, and over which channel."""
