"""The playground: a local web page on which trained models are explored and runs are watched.

`server` answers requests, `library` knows what may be opened, `explorer` generates, `runs` watches and starts
trainings, and `plane` shows games of points in the plane. The page itself, in ``static/``, is plain HTML, CSS and
JavaScript.
"""
