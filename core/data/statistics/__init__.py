"""What is in a data set, in numbers.

pair_facts.py   what one photo and its mask show
split_stats.py  what is in a split, reduced from the facts of its pairs; the score of doing nothing
"""
