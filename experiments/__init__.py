"""Suites as data, and what runs, compares and reports them."""
