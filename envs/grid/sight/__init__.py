"""What is seen of a lane: by agents as images and missions, by people as pictures."""
