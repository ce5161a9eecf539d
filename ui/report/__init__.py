"""The form of a report, on every page that has one.

form.py  asks for language, title and author; saves the report and its tables
"""
