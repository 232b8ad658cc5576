"""Asking a language model: what is said, endpoints that answer, and transcripts of what they said."""
