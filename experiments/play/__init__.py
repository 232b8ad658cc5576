"""Grid worlds for people: a window and a keyboard, or an animated picture."""
