"""How near a state is to a sentence: encoders of texts and pictures, and the state function that compares their codes."""
