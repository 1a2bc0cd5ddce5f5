"""Make the report of a year, or of any days, of what the tallies counted.

Counts (``core.tallies``) go one way::

    counts.py       reads them, from a server or a file
    operator.py     reads what only the operator knows: texts, and notices
    figures.py      sums them up by month and by label, of a period
    disclosure.py   rounds what could tell of few people
    plots.py        draws months
    pages.py        writes HTML, PDF and CSV

Nothing but figures that went through ``disclosure`` is written. docs/yearly-report.md says how a
report is made, and what its figures mean.
"""
