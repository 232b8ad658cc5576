"""What learns: models turn transitions into named arrays for terms. The only place of shaping, surfaces aside, that knows torch."""
