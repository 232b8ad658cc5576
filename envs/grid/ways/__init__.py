"""Walking on a lane's map, plans past what is in the way, and what is needed next."""
