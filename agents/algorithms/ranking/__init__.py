"""What RAPID keeps of its episodes: how often states were visited, the open episodes, the best ones."""
