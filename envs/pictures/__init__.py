"""Pictures of what tasks look like: small drawings for videos and for people who want to see an episode."""
