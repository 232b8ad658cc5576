"""Many runs: suites and plans, what runs them, and the folder with the results."""
