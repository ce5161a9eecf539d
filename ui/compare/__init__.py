"""What the Compare page shows.

comparison.py         what a comparison says: tables, warnings, order of images
scores.py             verdict, ranking, scores, curves; time, settings, published results
why.py                where and why A and B differ
why_charts.py         confusion, errors, confidence, sizes: figures whose marks choose images
image_filter.py       which images were asked for, and which pixels are lit
gallery.py            images side by side
report_download.py    the report and its tables, to download
cached_comparison.py  what a comparison keeps between reruns
"""
