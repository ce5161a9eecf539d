"""What the Present page shows.

presentation.py       what the steps of a presentation say
presentation_view.py  how they are drawn
"""
