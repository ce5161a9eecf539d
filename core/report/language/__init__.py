"""The report's languages, English and Portuguese: en.toml and pt.toml have the texts, but for verdicts (core/metrics, core/study).

words.py  a language's texts, and its numbers, dates and names
"""
