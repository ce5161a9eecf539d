"""What the Dataset page shows.

browser.py            the photos of a split by the page, and which of them were asked for
statistics.py         the statistics of a split: facts and charts; names for classes
statistics_charts.py  statistics -> figures whose marks choose photos
findings.py           what the doctor found, and the repair
splits.py             random against stratified splits
"""
