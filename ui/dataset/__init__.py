"""What the Dataset page shows.

browser.py            the photos of a split, page by page, filtered; one large
class_names.py        names and colours of the classes, with an example of each
statistics.py         the statistics of a split: facts and charts
statistics_charts.py  statistics -> figures whose marks filter photos
findings.py           the findings of the doctor, and the repair
label_review.py       labels that a model doubts, and decisions about them
bring_data.py         an export of another tool: recognised, shown, imported by a job
import_preview.py     what an import would bring, and what a person can correct
cached_imports.py     caches of what exports hold
splits.py             random and stratified splits
"""
