"""The settings of a run. No torch, no streamlit.

config.py   every setting, declared once: default, help, bounds
fitting.py  settings that exclude each other, and what makes them fit
presets.py  presets, with their strengths and limits; the parser of `key=value` settings
"""
