"""Tasks with pictures and what is true of them: what encoders of pictures and sentences are trained on (``shapegym encoder``)."""
