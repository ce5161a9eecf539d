"""What the Dataset page shows.

browser.py            the photos of a split, page by page, filtered
statistics.py         the statistics of a split: facts and charts; names for classes
statistics_charts.py  statistics -> figures whose marks filter photos
findings.py           the findings of the doctor, and the repair
splits.py             random and stratified splits
"""
