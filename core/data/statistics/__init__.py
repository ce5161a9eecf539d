"""What is in a data set, in numbers.

pair_facts.py   facts of one photo and its mask
split_stats.py  statistics of a split, from the facts of its pairs; the floor
"""
