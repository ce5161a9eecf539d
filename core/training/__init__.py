"""Training: what is asked (config), what is told (records), where it lives (runs), and the loop that does it.

`config`, `records`, `runs` and `evaluations` import neither torch nor streamlit, so that pages open fast.
"""
