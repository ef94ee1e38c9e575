"""How a report comes about: story (what the folder says), summary (the numbers), pages (the words), then a format."""
