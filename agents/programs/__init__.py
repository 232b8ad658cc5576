"""What reward programs may see of an environment, and what is known of it to judge them by."""
