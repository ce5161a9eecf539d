"""The report as one HTML file.

page.py      the whole file
sections.py  what its sections say: settings, warnings, commands
charts.py    where lines and ticks of a chart lie
figures.py   which photos stand for all, and their pictures

templates/ lays it out: report.html, blocks.html with tables and charts, formulas.html with the definitions as
MathML, and its looks in report.css.
"""
