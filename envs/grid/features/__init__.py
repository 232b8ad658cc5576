"""What grid worlds report of a lane for rewards and potentials to read."""
