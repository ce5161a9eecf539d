"""What a run is asked to do. Neither torch nor streamlit.

config.py   every setting, declared once: default, help, bounds
presets.py  where settings start, and what that gives up; key=value of the command line
"""
