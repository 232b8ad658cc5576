"""The language of programs: from text to a typed tree, by an allow-list."""
