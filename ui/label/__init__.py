"""What the Label page shows.

canvas.py  the photo with its mask, and the tools that draw (JavaScript)
"""
