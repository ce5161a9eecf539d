"""A report in English or Portuguese: en.toml and pt.toml have the texts.

words.py  texts, numbers, dates and names of a language
"""
