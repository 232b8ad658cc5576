"""The studies, a module each; see `shapegym.experiments.studies.findings` for what it holds."""
