"""What the Present page shows.

presentation.py       the sentences of the steps, and the choice of images
presentation_view.py  the steps on the screen
"""
