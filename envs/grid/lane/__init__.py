"""What a lane of a grid world is, how it is laid out, and how it steps."""
