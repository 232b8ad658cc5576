"""Checks of what papers claim: what a study is (`findings`), those that there are (`papers`), and how one is found (`index`)."""
