"""The studies, a module each; see `shapegym.experiments.studies.claims` for what it holds."""
