"""The report as one HTML file.

page.py      the whole file
sections.py  the content of its sections: settings, warnings, commands
trust.py     robustness and trust, a section that is asked for
why.py       maps of evidence, in that section
charts.py    the coordinates of lines and ticks in charts
figures.py   the photos that are shown, and their pictures

templates/ has the layout (report.html), tables and charts (blocks.html), the definitions as MathML (formulas.html) and
the styles (report.css).
"""
