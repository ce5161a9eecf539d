"""The report's languages, English and Portuguese: en.toml and pt.toml have all texts but the verdicts.

words.py  a language's texts, and its numbers, dates and names
"""
