"""What the Compare page shows.

choosing.py           A, B and a split; evaluations that are missing
comparison.py         tables, warnings, order of images
scores.py             verdict, ranking, scores, curves; runs, published results
why.py                where and why A and B differ
risk.py               what may be promised of A and B, calibration after temperature scaling
why_charts.py         confusion, errors, confidence, sizes: figures whose marks choose images
image_filter.py       a click on a mark -> images, and the pixels to light
robustness.py         A and B on corrupted photos
recipes.py            a study: recipes, their runs, the verdict
gallery.py            three photos under the verdict; all images side by side
cached_comparison.py  bounded caches
"""
